"""Messages on pipes, and signals with a meaning."""
