"""The forms in which programs write a text: as `repr`, JSON and URLs, in single lines, and as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring_ascii

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def forms_of(text: str) -> Iterator[str]:
    """Yield a text, its single lines, and both as other programs write them.

    No form begins or ends with whitespace, because neither does the text.
    """
    lines = [line.strip() for line in text.splitlines()]
    for part in (text, *lines) if lines[1:] else (text,):
        yield part
        yield repr(part)[1:-1]
        yield ascii(part)[1:-1]
        yield encode_basestring_ascii(part)[1:-1]
        for data in encodings_of(part):
            yield repr(data)[2:-1]
            yield "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def encodings_of(text: str) -> Iterator[bytes]:
    """Yield a text as bytes: as a program prints it, and as pickle writes it if that is different."""
    yield text.encode("utf-8", "surrogatepass")
    try:
        yield text.encode("utf-8", "surrogateescape")  # bytes of the environment that are not UTF-8
    except UnicodeEncodeError:
        pass
