"""Runners: processes, pipes, signals and output. They carry messages and do not know flows."""
