"""A script that calls the verb of its arguments; see the fixture `verb`."""

from __future__ import annotations

from lightning_lite.cli.main import main

if __name__ == "__main__":
    main()
