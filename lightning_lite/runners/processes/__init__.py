"""Works in processes of their own, seen from the main process."""
