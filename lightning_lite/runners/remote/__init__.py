"""The runner of works on other machines: an engine starts a server for each work there."""
