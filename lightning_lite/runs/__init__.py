"""The folder of a run: `run.json`, journal and logs; which runs there are, and which are old."""
