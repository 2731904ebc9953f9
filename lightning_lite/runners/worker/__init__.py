"""The programs that run in a work's process and in the fork server."""
