"""Processes: spawn, pipes, sentinels, signals, output; knows letters, not flows."""
