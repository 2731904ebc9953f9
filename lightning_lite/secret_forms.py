"""The forms in which programs write a text: as `repr`, JSON and URLs, in single lines, and as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring, encode_basestring_ascii

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

#: The form of each byte in one parameter (`urlencode`), in a path (`quote`), and in a whole URL (the package
#: requests), each with capital and with small hexadecimal digits.
_IN_URLS = [
    [chr(byte) if byte in not_escaped else escape % byte for byte in range(256)]
    for not_escaped in (_UNRESERVED, _UNRESERVED + b"/", _UNRESERVED + b"!#$%&'()*+,/:;=?@[]")
    for escape in ("%%%02X", "%%%02x")
]


def forms_of(text: str) -> Iterator[str]:
    """Yield a text, its single lines, and both as other programs write them; some forms are equal.

    No form begins or ends with whitespace, because neither does the text.
    """
    lines = [line.strip() for line in text.splitlines()]
    for part in (text, *lines) if lines[1:] else (text,):
        yield part
        yield repr(part)[1:-1]
        yield ascii(part)[1:-1]
        # If the text around it has both kinds of quotes, a backslash stands before each single quote.
        yield repr("'\"" + part)[4:-1]
        yield ascii("'\"" + part)[4:-1]
        yield encode_basestring_ascii(part)[1:-1]
        yield encode_basestring(part)[1:-1]
        for data in encodings_of(part):
            yield repr(data)[2:-1]
            yield repr(b"'\"" + data)[5:-1]
            for forms in _IN_URLS:
                escaped = "".join([forms[byte] for byte in data])
                yield escaped
                yield escaped.replace("%20", "+")  # in a query, and in the body of a form


def encodings_of(text: str) -> Iterator[bytes]:
    """Yield a text as bytes: as a program prints it, and as pickle writes it if that is different."""
    yield text.encode("utf-8", "surrogatepass")
    try:
        yield text.encode("utf-8", "surrogateescape")  # bytes of the environment that are not UTF-8
    except UnicodeEncodeError:
        pass
