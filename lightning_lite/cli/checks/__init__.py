"""The checks of `lightning-lite doctor`: the machine, the file system of the root, and a small app."""
