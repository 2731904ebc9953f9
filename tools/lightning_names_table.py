"""Print the tables of the names of Lightning App in Markdown, as they are in docs/lightning-names.md.

Usage: python tools/lightning_names_table.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lightning_lite.lightning_app.names import NAMES
from lightning_lite.lightning_app.refused import REFUSED


def lines() -> Iterator[str]:
    """Yield the lines of both tables."""
    yield "## Names that exist"
    yield ""
    yield "| module | names |"
    yield "|---|---|"
    for module, names in NAMES.items():
        full = f"lightning.app.{module}".rstrip(".")
        public = ", ".join(f"`{name}`" for name in sorted(names) if name[:1] != "_")
        if public:
            yield f"| `{full}` | {public} |"
    yield ""
    yield "## Names that do not"
    yield ""
    yield "| module or name | why |"
    yield "|---|---|"
    by_reason: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        by_reason.setdefault(reason, []).append(f"`{name}`")
    for reason, missing in by_reason.items():
        yield f"| {', '.join(missing)} | {reason} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
