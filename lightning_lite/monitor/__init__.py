"""Reads runs for the command line and the page: status, history, usage; and controls running ones."""
