"""The runner of works on other machines: a cluster starts a server for each work there."""
