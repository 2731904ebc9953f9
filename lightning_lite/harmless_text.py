r"""Makes text harmless for terminals and logs.

Of the control characters, only `\n` and `\t` are unchanged. All others (C0, DEL and C1, so escape sequences
too), characters that change the direction of writing, characters that some viewers treat as the end of a
line, and bytes that are not UTF-8 are replaced by visible escapes: `\x1b`, `\u202e`, `\xff`. Letters of all
languages, emoji and the rest of Unicode are unchanged. Colours are kept only where a caller wants them: then
each line sets and ends its own, so that any line can be shown alone.

A carriage return ends a line, like `\n`, so each state of a progress bar is a separate line and none is lost.
`\r\n` is one line end, and carriage returns at the beginning of a line are ignored.
"""

from __future__ import annotations

import codecs

from lightning_lite.colour_codes import BEGINNING, RESET, Style, styled_parts

#: Maximum number of characters in a message, see `one_line`.
MESSAGE_LIMIT = 200

_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x2070))
_LINE_ENDS = (0x2028, 0x2029)
# Not by a codec: Python before 3.13.3 can load none if the working directory is gone.
_ESCAPES = {
    code: ascii(chr(code))[1:-1]
    for code in (*range(0x20), *range(0x7F, 0xA0), *_BIDI, *_LINE_ENDS)
    if chr(code) not in "\n\t"
}
_LINE_ESCAPES = {ord("\n"): r"\n", ord("\t"): r"\t"}


def harmless(text: str | bytes, *, colours: bool = False) -> str:
    r"""Return `text` with visible escapes in place of characters that control a terminal; lines are kept.

    Args:
        text: Any text from a user.
        colours: Whether to keep colours.

    Example:
        >>> harmless(b"\x1b[2Jbad \xff\r\nbyte\n")
        '\\x1b[2Jbad \\xff\nbyte\n'
        >>> harmless("\x1b[31mred\nlines", colours=True)
        '\x1b[0;31mred\x1b[0m\n\x1b[0;31mlines\x1b[0m'
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    text = _end_lines(text, at_start=True)
    if not colours or "\x1b" not in text:
        return _escape(text)
    painter = _Painter()
    return painter.feed(text) + painter.end()


def one_line(text: str | bytes, limit: int = MESSAGE_LIMIT) -> str:
    r"""Return `text` harmless and on one line, for messages and log records.

    Args:
        text: Any text from a user.
        limit: Maximum number of characters; a longer text is cut and ends in `...`.

    Example:
        >>> one_line("done\nERROR forged")
        'done\\nERROR forged'
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    line = _escape(text[: limit + 1]).translate(_LINE_ESCAPES)
    return line if len(line) <= limit else line[: limit - 3] + "..."


class HarmlessStream:
    r"""Makes the output of a process harmless, chunk by chunk; a chunk may end inside a character.

    Colours are kept.

    Example:
        >>> stream = HarmlessStream()
        >>> stream.feed(b"caf\xc3"), stream.feed(b"\xa9 50%\r"), stream.feed(b"100%\n")
        ('caf', 'é 50%', '\n100%\n')
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        # The end of a chunk whose rest may follow: a "\r" of a "\r\n", or the beginning of a colour.
        self._held = ""
        self._painter = _Painter()
        self._is_in_line = False  # the last line has no newline yet

    def feed(self, data: bytes) -> str:
        """Return the text so far, without an incomplete character or line end."""
        return self._advance(self._decoder.decode(data))

    def finish(self) -> str:
        """Return the rest, with a newline if the last line had none; the stream can be fed again."""
        rest = self._advance(self._decoder.decode(b"", final=True))
        rest += _escape(self._held.removesuffix("\r")) + self._painter.end()
        self._is_in_line = self._is_in_line or bool(rest and not rest.endswith("\n"))
        self._held = ""
        self._painter = _Painter()
        if self._is_in_line:
            self._is_in_line = False
            rest += "\n"
        return rest

    def _advance(self, text: str) -> str:
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        if "\x1b" in text and (beginning := BEGINNING.search(text)):
            self._held = beginning[0]
        text = text.removesuffix(self._held)
        text = self._painter.feed(_end_lines(text, at_start=not self._is_in_line))
        if text:
            self._is_in_line = not text.endswith("\n")
        return text


class _Painter:
    """Escapes control characters, and keeps colours: each line sets its own, and ends them."""

    def __init__(self) -> None:
        self._style = Style()
        self._shown = Style()  # of the last character

    def feed(self, text: str) -> str:
        """Return a text whose lines end in a newline; the last one may continue in the next text."""
        if "\x1b" not in text and not any(self._style) and not any(self._shown):
            return _escape(text)
        parts: list[str] = []
        for piece, style in styled_parts(text, self._style):
            self._style = style
            for number, line in enumerate(piece.split("\n")):
                if number:
                    parts += self.end(), "\n"
                if line:
                    if style != self._shown:
                        parts.append(style.sequence())
                        self._shown = style
                    parts.append(_escape(line))
        return "".join(parts)

    def end(self) -> str:
        """Return the escape sequence that ends the colours of the last line."""
        if not any(self._shown):
            return ""
        self._shown = Style()
        return RESET


def _end_lines(text: str, *, at_start: bool) -> str:
    r"""Return `text` with `\n` as the only line end.

    Args:
        text: Lines; the first one may be the rest of a line.
        at_start: Whether the first line is complete; then a carriage return before it is ignored.
    """
    if "\r" not in text:
        return text
    lines = ["\n".join(filter(None, line.split("\r"))) for line in text.split("\n")]
    if lines[0] and text.startswith("\r") and not at_start:
        lines[0] = "\n" + lines[0]
    if lines[-1] and text.endswith("\r"):
        lines.append("")
    return "\n".join(lines)


def _escape(text: str) -> str:
    # Almost all output is printable, and this check is ten times faster than translate().
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # lone surrogates
    return text.translate(_ESCAPES)
