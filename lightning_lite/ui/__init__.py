"""The terminal: what works print, line by line."""
