"""The store of drives in plain files."""
