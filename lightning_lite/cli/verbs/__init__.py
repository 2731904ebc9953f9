"""The verbs of `lightning-lite`: one module per verb, which has its `command`."""
