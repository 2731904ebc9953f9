"""Previews of files of each kind, and of files with a name of another kind."""

from __future__ import annotations

import base64
import io
import json
import struct
import sys
import tracemalloc
import zlib

import pytest

from lightning_lite.monitor import file_previews
from lightning_lite.monitor.file_previews import Preview, preview_of, probable_kind


def preview(content: bytes | str, name: str = "a.txt") -> Preview:
    data = content if isinstance(content, bytes) else content.encode()
    return preview_of(io.BytesIO(data), name, len(data))


def png(width: int = 1, height: int = 1) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff\0\0" * width) * height)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURES = {
    "image/png": png(),
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\0",
    "image/gif": base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA="),
    "image/webp": b"RIFF\x1a\0\0\0WEBPVP8L",
    "image/bmp": b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0",
}


@pytest.mark.parametrize("media_type", PICTURES)
@pytest.mark.parametrize("name", ["picture.bin", "picture.html", "picture.csv"])
def test_a_picture_is_known_by_its_first_bytes(media_type: str, name: str):
    found = preview(PICTURES[media_type], name)
    assert (found.kind, found.media_type, found.text) == ("image", media_type, None)


@pytest.mark.parametrize("content", [b"no picture", b"BM is how this text begins", b"<html>", b"\0\1\2\3"])
def test_a_name_alone_makes_no_picture(content: bytes):
    assert preview(content, "picture.png").kind != "image"


def test_a_picture_beyond_the_limit_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_previews, "PICTURE_LIMIT", 50)
    found = preview(png())
    assert found.kind is None
    assert "download it" in (found.note or "")


@pytest.mark.parametrize(
    "content",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'/>",
        '<?xml version="1.0"?>\n<!-- Made with a tool -->\n<svg/>',
        '\ufeff<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">\n<svg\nwidth="1">',
    ],
)
def test_svg_is_told_from_other_text(content: str):
    found = preview(content)
    assert (found.kind, found.media_type, found.text) == ("svg", "image/svg+xml", None)
    assert preview("see <svg> for pictures", "plot.svg").kind == "text"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("<!doctype html><p>", "page"),
        ("\n<HTML lang='en'>", "page.txt"),
        ("<!-- a -->\n<!-- b --><html>", "page"),
        ("<p>A part of a page", "page.html"),
    ],
)
def test_html_is_told_from_other_text(content: str, name: str):
    found = preview(content, name)
    assert (found.kind, found.media_type, found.text) == ("html", "text/html", None)


def test_text_is_shown_up_to_the_limit_without_half_a_character():
    found = preview("ä" * file_previews.TEXT_LIMIT + "\n")
    assert found.text == "ä" * (file_previews.TEXT_LIMIT // 2)
    assert found.truncated
    odd = preview("." + "ä" * file_previews.TEXT_LIMIT)
    assert odd.text == "." + "ä" * (file_previews.TEXT_LIMIT // 2 - 1)


def test_bytes_that_are_not_utf_8_and_control_characters_are_escaped():
    found = preview(b"caf\xe9 \x1b[31mred\r\n\xe2\x80\xae<b>")
    assert (found.kind, found.text) == ("text", "caf\\xe9 \\x1b[31mred\n\\u202e<b>")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_in_other_encodings_is_decoded_by_its_mark(encoding: str):
    assert preview("Grüße\n".encode(encoding)).text == "Grüße\n"


@pytest.mark.parametrize("content", [bytes(range(256)), b"\x7fELF\2\1\1\0", b"\xfe\xdc\xba\x98" * 40])
def test_a_binary_file_is_shown_as_a_dump(content: bytes):
    found = preview(content, "a.csv")
    assert found.kind == "text"
    assert (found.text or "").startswith(f"00000000  {content[:4].hex(' ')}")
    assert "not text" in (found.note or "")


def test_a_dump_ends_at_its_limit():
    found = preview(b"\0" * 10_000)
    assert len((found.text or "").splitlines()) == file_previews.DUMP_LIMIT // 16
    assert found.truncated


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.png", "a.npy", "a.parquet", "a.jsonl"])
def test_an_empty_file_is_said_to_be_empty(name: str):
    assert preview(b"", name) == Preview(0, "text", text="", note="The file is empty.")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('step,note\n1,"a, b"\n2,"say ""hi"""\n', "a.csv"),
        ('step;note\r\n1;"a, b"\r\n2;"say ""hi"""\r\n', "a.csv"),
        ('step\tnote\n1\ta, b\n2\t"say ""hi"""\n', "a.tsv"),
        ('\ufeffstep|note\n\n1|a, b\n\n2|"say ""hi"""\n', "A.CSV"),
    ],
)
def test_a_table_is_read_in_its_dialect(content: str, name: str):
    found = preview(content, name)
    assert (found.kind, found.columns) == ("table", ["step", "note"])
    assert found.rows == [["1", "a, b"], ["2", 'say "hi"']]
    assert not found.truncated


def test_of_a_table_the_first_rows_and_columns_are_shown():
    rows = [[f"{row}.{column}" for column in range(150)] for row in range(300)]
    found = preview("\n".join(",".join(row) for row in rows), "a.csv")
    assert found.columns == rows[0][:100]
    assert found.rows == [row[:100] for row in rows[1:201]]
    assert found.truncated


def test_rows_of_a_table_are_made_equally_long():
    found = preview("a,b\n1\n1,2,3\n", "a.csv")
    assert (found.columns, found.rows) == (["a", "b", ""], [["1", "", ""], ["1", "2", "3"]])


def test_half_a_row_at_the_limit_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_previews, "TEXT_LIMIT", 10)
    monkeypatch.setattr(file_previews, "DATA_LIMIT", 15)
    found = preview("a,b\n11,22\n33,44\n55,66\n", "a.csv")
    assert (found.rows, found.truncated) == ([["11", "22"]], True)


@pytest.mark.parametrize("cell", ["x" * 300_000, "\x1b[31m", "<script>"])
def test_a_cell_is_short_and_harmless(cell: str):
    (rows,) = [preview(f"a,b\n1,{cell}\n", "a.csv").rows]
    if rows is None:  # too long for the module csv, so it is shown as text
        assert len(cell) > 131_072
    else:
        assert len(rows[0][1]) <= file_previews.CELL_LIMIT
        assert rows[0][1].isprintable()


@pytest.mark.parametrize(
    "content", ['"' * 4096, ',"' * 200_000, '","' * 200_000, '"a' * 3000, "a," * 300_000]
)
def test_odd_tables_are_shown_somehow(content: str):
    assert preview(content, "a.csv").kind in ("table", "text")


def test_json_is_laid_out():
    found = preview('{"loss":[1,NaN],"note":"ü"}', "a.json")
    assert (found.kind, found.text) == ("text", '{\n  "loss": [\n    1,\n    NaN\n  ],\n  "note": "ü"\n}')


@pytest.mark.parametrize(
    "content", ["{", "[" * 100_000, '{"a": 1', "1" * 10_000, '{"a":1}{"b":2}'], ids=lambda text: text[:9]
)
def test_json_that_is_none_is_shown_as_text(content: str):
    found = preview(content, "a.json")
    assert (found.kind, found.text) == ("text", content[: file_previews.TEXT_LIMIT])


def test_lines_of_json_are_a_table_if_each_is_an_object():
    lines = [{"step": 1, "loss": 0.5}, {"step": 2, "tags": ["a"], "note": "x"}]
    found = preview("\n".join(map(json.dumps, lines)), "a.jsonl")
    assert (found.kind, found.columns) == ("table", ["step", "loss", "tags", "note"])
    assert found.rows == [["1", "0.5", "", ""], ["2", "", '["a"]', "x"]]


def test_other_lines_of_json_are_laid_out():
    assert preview('[1]\n"a"\n', "a.jsonl").text == '[\n  1\n]\n"a"'
    assert preview("[1]\nno JSON\n", "a.jsonl").text == "[1]\nno JSON\n"


def npy(header: str, version: int = 1) -> bytes:
    data = header.encode()
    return b"\x93NUMPY" + bytes([version, 0]) + len(data).to_bytes(2 if version == 1 else 4, "little") + data


@pytest.mark.parametrize("version", [1, 2, 3])
def test_of_an_array_type_and_shape_are_shown(version: int):
    found = preview(
        npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1000, 3), }\n", version) + b"\0" * 99
    )
    assert found.text == "shape: (1000, 3)\ndtype: <f4\nFortran order: True"


@pytest.mark.parametrize(
    "header", ["", "{", "[1]", "{'descr': 1}", "(" * 30_000, "__import__('os')", "1" * 9_000, "-" * 60_000]
)
def test_a_damaged_header_of_an_array_is_said_to_be_damaged(header: str):
    found = preview(npy(header))
    assert "damaged" in (found.note or "")
    assert (found.text or "").startswith("00000000  93 4e 55 4d 50 59")


def test_a_parquet_file_without_pyarrow_says_how_to_see_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    found = preview(b"PAR1" + b"\0" * 50, "a.parquet")
    assert "pip install pyarrow" in (found.note or "")
    assert (found.text or "").startswith("00000000  50 41 52 31")


def test_rows_of_a_parquet_file_are_shown():
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    columns = {"step": list(range(1000)), "note": [f"<{step}>" for step in range(1000)]}
    parquet.write_table(pyarrow.table(columns), file)
    found = preview(file.getvalue(), "any name")
    assert (found.kind, found.columns, found.truncated) == ("table", ["step", "note"], True)
    assert found.rows == [[str(step), f"<{step}>"] for step in range(200)]
    assert found.note == "1000 rows, 2 columns."


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1", b"PAR1\0\0\0\0PAR1"])
def test_a_damaged_parquet_file_is_said_to_be_damaged(content: bytes):
    pytest.importorskip("pyarrow.parquet")
    assert "can't be read" in (preview(content).note or "")


def test_of_a_huge_file_little_is_read():
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            buffer[:] = b"a,b\n"[: len(buffer)] * (len(buffer) // 4) + b"a" * (len(buffer) % 4)
            return len(buffer)

    tracemalloc.start()
    try:
        for name in ("a.txt", "a.csv", "a.json", "a.jsonl", "a.html", "a.bin"):
            preview_of(io.BufferedReader(Endless()), name, 10**15)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.PNG", "image"),
        ("loss.tsv", "table"),
        ("x.svg", "svg"),
        ("x.htm", "html"),
        ("log.txt", "text"),
        ("x", None),
    ],
)
def test_the_probable_kind_comes_from_the_name(name: str, kind: str | None):
    assert probable_kind(name) == kind
