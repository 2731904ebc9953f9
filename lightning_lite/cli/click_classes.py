"""The base classes of commands: from rich-click on a terminal, else the faster ones from click."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any


def is_plain() -> bool:
    """Return whether to print without colours and animation: no terminal, a dumb one, or `--plain`."""
    return (
        os.environ.get("TERM") == "dumb"
        or "--plain" in sys.argv
        or not (sys.stdout is not None and sys.stdout.isatty())
    )


if TYPE_CHECKING or is_plain():
    from click import Command, Group
else:
    from rich.padding import Padding
    from rich_click import RichCommand
    from rich_click import RichGroup as Group

    class Command(RichCommand):
        """A command that prints its examples as lines; rich-click would join them to a paragraph."""

        def format_epilog(self, ctx: Any, formatter: Any) -> None:
            """Write the examples."""
            if self.epilog:
                formatter.write(Padding(self.epilog.removeprefix("\b\n"), (0, 1)))


__all__ = ["Command", "Group", "is_plain"]
