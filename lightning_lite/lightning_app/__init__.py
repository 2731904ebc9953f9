"""Classes and functions of Lightning App that exist only for compatibility, under their original names."""
