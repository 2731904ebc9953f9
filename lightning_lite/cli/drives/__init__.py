"""The verbs of `lightning-lite drive`, by what they do."""
