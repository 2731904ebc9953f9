"""Previews of files: text, a table, a picture, or its first bytes.

The kind comes from the first bytes, where they show it; the name only decides what kind of text it is.
Nothing is unpickled or run, and at most some hundred kilobytes are read of a file, however large it is.
"""

from __future__ import annotations

import ast
import codecs
import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple

from lightning_lite.harmless_text import harmless, one_line
from lightning_lite.quantity_text import count, format_bytes

#: Bytes of a text that are shown.
TEXT_LIMIT = 64 * 1024

#: Bytes of a table or of JSON that are read.
DATA_LIMIT = 1024 * 1024

#: Bytes of a picture or a page that are sent to a browser.
PICTURE_LIMIT = 32 * 1024 * 1024
PAGE_LIMIT = 16 * 1024 * 1024

#: Rows, columns and characters of a cell in a table.
ROW_LIMIT = 200
COLUMN_LIMIT = 100
CELL_LIMIT = 200

#: Bytes of a binary file that are shown.
DUMP_LIMIT = 512

#: Uncompressed bytes of a group of rows in a Parquet file that are read.
_ROW_GROUP_LIMIT = 64 * 1024 * 1024

#: Bytes of the header of a NumPy file that are read.
_HEADER_LIMIT = 64 * 1024

#: Media types of the pictures that every browser shows, by the first bytes.
_PICTURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"BM.{4}\0{4}.{4}[\x0c-\x7c]\0\0\0", re.DOTALL), "image/bmp"),
)

#: The beginning of an SVG picture and of an HTML page; the comments and declarations before it are skipped.
_BEFORE = r"\s*(?:<\?xml[^>]*>\s*|<!--.{0,4000}?-->\s*|<!DOCTYPE\s+svg[^>]*>\s*){0,9}"
_SVG = re.compile(rf"{_BEFORE}<svg[\s/>]", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(
    r"\s*(?:<!--.{0,4000}?-->\s*){0,9}<(?:!DOCTYPE\s+html|html)[\s/>]", re.DOTALL | re.IGNORECASE
)

#: Marks at the beginning of texts that are not UTF-8, or UTF-8 with a mark.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

#: Control characters that a text has none of, in contrast to line ends, tabs, form feeds and escapes.
_CONTROLS = re.compile(rb"[\x01-\x06\x0e-\x1a\x1c-\x1f\x7f]")

#: The most control characters of a text, and the most bytes that are not UTF-8, as a share of its bytes.
_MOST_CONTROLS = 0.02
_MOST_INVALID = 0.25

_TABLES = (".csv", ".tsv", ".tab")
_LINES = (".jsonl", ".ndjson")

#: Kinds of previews by the end of a name.
_BY_NAME = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"), "image"),
    **dict.fromkeys((*_TABLES, *_LINES, ".parquet"), "table"),
    **dict.fromkeys((".html", ".htm"), "html"),
    ".svg": "svg",
    **dict.fromkeys(
        (
            ".txt",
            ".log",
            ".md",
            ".rst",
            ".json",
            ".yaml",
            ".yml",
            ".toml",
            ".ini",
            ".cfg",
            ".py",
            ".js",
            ".css",
            ".sh",
            ".xml",
            ".npy",
        ),
        "text",
    ),
}


class Preview(NamedTuple):
    """The part of a file that is shown.

    Attributes:
        size: Bytes of the whole file.
        kind: `text`, `table`, `image`, `svg`, `html`; or `None` if only the note is shown. SVG and HTML can
            contain programs: a page may show them only in a sandboxed frame of another origin.
        text: The text, without control characters.
        columns: Names of the columns of a table.
        rows: Rows of a table, each as long as `columns`.
        media_type: Of a picture, SVG or HTML: how a browser has to read the file.
        truncated: Whether the file has more than that.
        note: A sentence about the file, or `None`.
    """

    size: int
    kind: str | None = None
    text: str | None = None
    columns: list[str] | None = None
    rows: list[list[str]] | None = None
    media_type: str | None = None
    truncated: bool = False
    note: str | None = None


def probable_kind(name: str) -> str | None:
    """Return the kind of preview that a file probably has, from its name.

    Example:
        >>> probable_kind("loss.csv"), probable_kind("Plot.PNG"), probable_kind("weights.bin")
        ('table', 'image', None)
    """
    return _BY_NAME.get(os.path.splitext(name)[1].lower())


def preview_of(file: BinaryIO, name: str, size: int) -> Preview:
    r"""Return the preview of an open file.

    Args:
        file: The file, at its beginning.
        name: Its name; the end says what a text is.
        size: Its size in bytes.

    Raises:
        OSError: It can't be read.

    Example:
        >>> preview_of(io.BytesIO(b"step,loss\n1,0.5\n"), "loss.csv", 16)[1:5]
        ('table', None, ['step', 'loss'], [['1', '0.5']])
    """
    head = file.read(TEXT_LIMIT)
    if not head:
        return Preview(size, "text", text="", note="The file is empty.")
    for beginning, media_type in _PICTURES:
        if beginning.match(head):
            return _for_browser(size, "image", media_type, PICTURE_LIMIT)
    if head.startswith(b"\x93NUMPY"):
        return _numpy_preview(head, size)
    if head.startswith(b"PAR1"):
        return _parquet_preview(file, head, size)
    if not is_text(head):
        return _dump(head, size, "The file is not text; these are its first bytes.")
    return _text_preview(file, head, name, size)


def is_text(head: bytes) -> bool:
    r"""Return whether the beginning of a file is text, also if some of its bytes are not UTF-8.

    Example:
        >>> is_text("naïve\n".encode("latin-1")), is_text(b"\x00\x01\x02")
        (True, False)
    """
    if any(head.startswith(mark) for mark, _ in _MARKS[1:]):
        return True
    if b"\0" in head or len(_CONTROLS.findall(head)) > _MOST_CONTROLS * len(head):
        return False
    return head.decode("utf-8", "replace").count("\ufffd") <= _MOST_INVALID * len(head)


def _text_preview(file: BinaryIO, head: bytes, name: str, size: int) -> Preview:
    text = _decoded(head)
    end = os.path.splitext(name)[1].lower()
    if _SVG.match(text):
        return _for_browser(size, "svg", "image/svg+xml", PAGE_LIMIT)
    if _HTML.match(text) or end in (".html", ".htm"):
        return _for_browser(size, "html", "text/html", PAGE_LIMIT)
    if end in (*_TABLES, *_LINES, ".json"):
        data = _decoded(head + file.read(DATA_LIMIT - len(head)))
        is_cut = size > DATA_LIMIT
        if end == ".json":
            found = _json_preview(data, size, is_cut=is_cut)
        elif end in _LINES:
            found = _json_lines_preview(data, size, is_cut=is_cut)
        else:
            found = _csv_preview(data, size, end, is_cut=is_cut)
        if found is not None:
            return found
    return Preview(size, "text", text=harmless(text), truncated=size > len(head))


def _for_browser(size: int, kind: str, media_type: str, limit: int) -> Preview:
    if size > limit:
        note = f"The file has {format_bytes(size)}; at most {format_bytes(limit)} are shown, so download it."
        return Preview(size, note=note)
    return Preview(size, kind, media_type=media_type)


def _decoded(data: bytes) -> str:
    """Return bytes as text; invalid ones become escapes, and half a character at the end is left out."""
    mark, encoding = next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    errors = "backslashreplace" if encoding == "utf-8" else "replace"
    return codecs.getincrementaldecoder(encoding)(errors).decode(data[len(mark) :])


def _csv_preview(data: str, size: int, end: str, *, is_cut: bool) -> Preview | None:
    reader = csv.reader(io.StringIO(data, newline=""), _dialect(data, end))
    try:
        rows = list(islice((row for row in reader if row), ROW_LIMIT + 2))
    except csv.Error:
        return None  # a field is too long, or quotes are wrong
    if is_cut and len(rows) < ROW_LIMIT + 2:
        del rows[max(1, len(rows) - 1) :]  # the last one may be half a row
    if not rows:
        return None
    return _table(rows[0], rows[1:], size, is_cut=is_cut)


def _dialect(data: str, end: str) -> type[csv.Dialect]:
    usual = csv.excel if end == ".csv" else csv.excel_tab
    lines = data[:4096].splitlines()[:20]
    try:
        found = csv.Sniffer().sniff("\n".join(lines), ",;\t|")
    except csv.Error:
        return usual
    found.doublequote = True  # else the sniffer has to see such a quote in the first lines
    return found


def _json_preview(data: str, size: int, *, is_cut: bool) -> Preview | None:
    if is_cut:
        return None
    try:
        text = json.dumps(json.loads(data), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return Preview(size, "text", text=harmless(text[:DATA_LIMIT]), truncated=len(text) > DATA_LIMIT)


def _json_lines_preview(data: str, size: int, *, is_cut: bool) -> Preview | None:
    lines = [line for line in data.split("\n") if line.strip()]
    if is_cut:
        del lines[-1:]  # it may be half a line
    try:
        values = [json.loads(line) for line in lines[: ROW_LIMIT + 1]]
    except (ValueError, RecursionError):
        return None
    if not values:
        return None
    if not all(isinstance(value, dict) for value in values):
        text = "\n".join(json.dumps(value, indent=2, ensure_ascii=False) for value in values[:ROW_LIMIT])
        is_more = is_cut or len(values) > ROW_LIMIT or len(text) > DATA_LIMIT
        return Preview(size, "text", text=harmless(text[:DATA_LIMIT]), truncated=is_more)
    columns = list(dict.fromkeys(key for value in values for key in value))
    rows = ([_json_cell(value[column]) if column in value else "" for column in columns] for value in values)
    return _table(columns, rows, size, is_cut=is_cut)


def _json_cell(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _numpy_preview(head: bytes, size: int) -> Preview:
    r"""Return the type and shape in the header of a `.npy` file; see `numpy.lib.format`.

    Example:
        >>> header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }\n"
        >>> _numpy_preview(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header, 224).text
        'shape: (3, 4)\ndtype: <f8\nFortran order: False'
    """
    start = 10 if head[6:7] == b"\x01" else 12
    length = int.from_bytes(head[8:start], "little")
    try:
        header = ast.literal_eval(head[start : start + min(length, _HEADER_LIMIT)].decode("utf-8").strip())
        lines = (
            f"shape: {header['shape']}",
            f"dtype: {header['descr']}",
            f"Fortran order: {header['fortran_order']}",
        )
    except (ValueError, SyntaxError, TypeError, LookupError, MemoryError, RecursionError):
        return _dump(head, size, "The header of this NumPy file is damaged; these are its first bytes.")
    return Preview(
        size, "text", text=harmless("\n".join(lines)), note="An array of NumPy; its values are not read."
    )


def _parquet_preview(file: BinaryIO, head: bytes, size: int) -> Preview:
    try:
        import pyarrow.parquet as parquet  # noqa: PLC0415 - not a dependency: large, and only these previews need it
    except ImportError:
        note = "A Parquet file. Its rows are shown if pyarrow is installed: pip install pyarrow"
        return _dump(head, size, note)
    try:
        table = parquet.ParquetFile(file)
        names: list[str] = table.schema_arrow.names[:COLUMN_LIMIT]
        num_columns = len(table.schema_arrow.names)
        note = f"{count(table.metadata.num_rows, 'row')}, {count(num_columns, 'column')}."
        rows: list[list[str]] = []
        if table.num_row_groups and table.metadata.row_group(0).total_byte_size <= _ROW_GROUP_LIMIT:
            batches = table.iter_batches(
                batch_size=ROW_LIMIT, row_groups=[0], columns=names, use_threads=False
            )
            for batch in islice(batches, 1):
                rows = [[str(value) for value in row.values()] for row in batch.to_pylist()]
        elif table.num_row_groups:
            note += (
                f" The first group of rows has more than {format_bytes(_ROW_GROUP_LIMIT)}; no row is shown."
            )
        shown = _table(names, rows, size, is_cut=table.metadata.num_rows > len(rows))
    except Exception as error:  # noqa: BLE001 - a damaged file raises any error of pyarrow's C++ code
        return _dump(head, size, f"The Parquet file can't be read: {one_line(str(error))}")
    return shown._replace(note=note)


def _table(columns: list[str], rows: Iterable[list[str]], size: int, *, is_cut: bool) -> Preview:
    """Return a table; short rows are filled, and rows and columns beyond the limits are left out."""
    found = list(islice(rows, ROW_LIMIT + 1))
    width = max(map(len, [columns, *found[:ROW_LIMIT]]))
    is_more = is_cut or len(found) > ROW_LIMIT or width > COLUMN_LIMIT
    width = min(width, COLUMN_LIMIT)
    shown = [_row(row, width) for row in found[:ROW_LIMIT]]
    return Preview(size, "table", columns=_row(columns, width), rows=shown, truncated=is_more)


def _row(cells: list[str], width: int) -> list[str]:
    return [one_line(cell, CELL_LIMIT) for cell in cells[:width]] + [""] * (width - len(cells))


def _dump(head: bytes, size: int, note: str) -> Preview:
    return Preview(
        size, "text", text="\n".join(_dump_lines(head[:DUMP_LIMIT])), truncated=size > DUMP_LIMIT, note=note
    )


def _dump_lines(data: bytes) -> Iterator[str]:
    r"""Yield bytes as hexadecimal digits, then as characters.

    Example:
        >>> print(*_dump_lines(b"PK\x03\x04"))
        00000000  50 4b 03 04                                      |PK..|
    """
    for place in range(0, len(data), 16):
        row = data[place : place + 16]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{place:08x}  {row.hex(' '):<47}  |{letters}|"
