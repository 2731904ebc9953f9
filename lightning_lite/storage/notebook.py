"""A drive in a notebook: a table of what is in it."""

from __future__ import annotations

import time

from lightning_lite.storage.base import Entry

#: Rows that a table shows.
ROWS = 100

_UNITS = ("KiB", "MiB", "GiB", "TiB")


def table(title: str, entries: list[Entry]) -> str:
    """Return entries as HTML.

    Args:
        title: Shown above.
        entries: The rows; only the first hundred are shown.
    """
    from html import escape  # noqa: PLC0415 - 3 ms that only a notebook pays

    rows = "".join(
        f"<tr><td>{escape(entry.name)}{'/' if entry.is_folder else ''}</td>"
        f"<td style='text-align:right'>{'' if entry.is_folder else readable_size(entry.size)}</td>"
        f"<td>{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(entry.time))}</td>"
        f"<td>{escape(entry.owner)}</td></tr>"
        for entry in entries[:ROWS]
    )
    more = f"<p>… and {len(entries) - ROWS} more</p>" if len(entries) > ROWS else ""
    head = "<tr><th>name</th><th>size</th><th>time</th><th>owner</th></tr>"
    return f"<b>{escape(title)}</b><table>{head}{rows}</table>{more}"


def readable_size(size: int) -> str:
    """Return a number of bytes for people.

    Example:
        >>> readable_size(900), readable_size(1_500_000)
        ('900 B', '1.4 MiB')
    """
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 1024**power:.1f} {_UNITS[power - 1]}"
