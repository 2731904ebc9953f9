"""What drives need of the file system, each in one call."""
