"""The tree of components, the machine that drives it, and the app on top; import the rooms by full path."""
