"""HTML tables for notebooks; all values in them are escaped."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_lite.harmless_text import one_line

#: Maximum number of rows that a table shows; the others are only counted.
MOST_ROWS = 100


def html_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as HTML, "" if it has no rows.

    Example:
        >>> html_table(["name", "value"], [["loss", "<0.3>"]])
        '<table><tr><th>name</th><th>value</th></tr><tr><td>loss</td><td>&lt;0.3&gt;</td></tr></table>'
    """
    if not rows:
        return ""
    shown = "".join(_row("td", row) for row in rows[:MOST_ROWS])
    more = f"<p>... and {len(rows) - MOST_ROWS} more</p>" if len(rows) > MOST_ROWS else ""
    return f"<table>{_row('th', head)}{shown}</table>{more}"


def html_title(text: str) -> str:
    """Return a line above a table as HTML."""
    return f"<b>{_escaped(text)}</b>"


def _row(kind: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{kind}>{_escaped(cell)}</{kind}>' for cell in cells)}</tr>"


def _escaped(value: object) -> str:
    from html import escape  # noqa: PLC0415 - takes 3 ms, and only notebooks need it

    return escape(one_line(str(value)))
