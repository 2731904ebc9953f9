"""Print the table of all settings in Markdown, as it is in docs/settings.md.

Usage: python tools/settings_table.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from lightning_lite.settings import SETTINGS, describe_values


def lines() -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| name | variable | values | default | in the file | means |"
    yield "|---|---|---|---|---|---|"
    for setting in SETTINGS.values():
        default = "" if setting.default is None else f"`{json.dumps(setting.default)}`"
        in_file = "yes" if setting.in_file else "no"
        cells = [f"`{setting.name}`", f"`{setting.variable}`", describe_values(setting).replace("'", "`")]
        yield f"| {' | '.join([*cells, default, in_file, setting.about])} |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
