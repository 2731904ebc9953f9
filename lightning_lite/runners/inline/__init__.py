"""Works in the flow's own process, for debugging and tests."""
