"""How values become bytes, for other processes and for files."""
