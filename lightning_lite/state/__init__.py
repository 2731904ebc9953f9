"""What the letters and the tree are made of: frozen values, call keys; no process, no file."""
