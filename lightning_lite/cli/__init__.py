"""The command line: `lightning-lite` and `python -m lightning_lite`.

`main` is the entry point. `verbs` has one module per verb; `main` imports only the module of the verb that is
called. `drives` has the verbs of `lightning-lite drive`, `checks` the checks of `lightning-lite doctor`.
Verbs share the other modules.
"""
