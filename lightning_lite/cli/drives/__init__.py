"""The verbs of `lightning-lite drive`."""
