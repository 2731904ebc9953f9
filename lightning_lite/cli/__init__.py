"""The command line: `lightning-lite` and `python -m lightning_lite`, one module per verb."""
