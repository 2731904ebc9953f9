"""The folder of a run: `run.json` and logs."""
