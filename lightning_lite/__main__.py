"""`python -m lightning_lite`: the command line."""

from __future__ import annotations

from lightning_lite.cli.main import main

if __name__ == "__main__":
    main()
