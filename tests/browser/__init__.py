"""The page in a real browser; a package, because only fixtures of a package end with its last test."""
