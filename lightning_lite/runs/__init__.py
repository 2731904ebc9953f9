"""The folders of runs: `run.json`, the journal, the logs; the catalog of runs and the removal of old ones."""
