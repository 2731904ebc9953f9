"""The two state machines, of the main process and of a work; recording and history of a run."""
