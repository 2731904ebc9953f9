"""How values travel between processes and into files."""
