"""The command line: `lightning-lite` and `python -m lightning_lite`.

`main` is the entry point. `verbs` has one module per verb, and `main` imports the one that is called.
`drives` has the verbs of `lightning-lite drive`, `checks` the checks of `lightning-lite doctor`. The other
modules are shared by verbs.
"""
