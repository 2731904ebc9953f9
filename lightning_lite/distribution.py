"""Name and version of the distribution: which name to install, and which version this is."""

from __future__ import annotations

#: The name for `pip install`. The package index has another product with the name lightning-lite.
NAME = "lightning-lite-apps"

__version__ = "0.1.0"
