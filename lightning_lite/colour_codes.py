r"""Colours in text: escape sequences such as `\x1b[31m` ("SGR"), which change how the text after them looks.

They change nothing else. Known are colours, bold, dim, italic, underlined, inverse and struck-out text. Text
that blinks or is hidden is shown as any other text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

#: A whole sequence. A longer one is not read, so that the memory for one that never ends has a limit.
SEQUENCE = re.compile(r"\x1b\[([0-9;:]{0,60})m")

#: The beginning of a sequence at the end of a text, whose rest may follow.
BEGINNING = re.compile(r"\x1b(?:\[[0-9;:]{0,60})?\Z")

#: Ends all colours.
RESET = "\x1b[0m"

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")

#: For the codes that switch one attribute on: its field.
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike", 21: "underline"}

#: For the codes that switch attributes off: their fields.
_OFF = {
    22: ("bold", "dim"),
    23: ("italic",),
    24: ("underline",),
    27: ("inverse",),
    29: ("strike",),
}

#: For the codes before the parameters of a colour: its field; "" for the colour of the line under a text,
#: which is not shown, but whose parameters must not be read as codes.
_COLOURS = {38: "fg", 48: "bg", 58: ""}

#: Brightness of the six levels of each colour in the palette of 256 colours.
_LEVELS = (0, 95, 135, 175, 215, 255)


class Style(NamedTuple):
    """How a text looks.

    Attributes:
        fg: Colour of the text: the name of one of 16 (`red`, `bright_red`), or `#rrggbb`; "" for the usual.
        bg: Colour behind it.
        bold: Whether it is bold; in the same way the others.
    """

    fg: str = ""
    bg: str = ""
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False
    strike: bool = False

    def sequence(self) -> str:
        r"""Return the sequence that shows text like this after any other text.

        Example:
            >>> Style("red", bold=True).sequence(), Style().sequence()
            ('\x1b[0;31;1m', '\x1b[0m')
        """
        codes = ["0", *_colour_codes(self.fg, 30), *_colour_codes(self.bg, 40)]
        codes += [str(code) for code, name in _ON.items() if code != 21 and getattr(self, name)]
        return f"\x1b[{';'.join(codes)}m"

    def after(self, parameters: str) -> Style:
        """Return the style after a sequence.

        Args:
            parameters: The text between `[` and `m` of a `SEQUENCE`.

        Example:
            >>> Style("red").after("1;44").after("39") == Style(bg="blue", bold=True)
            True
        """
        style = self
        groups = iter(parameters.split(";"))
        for group in groups:
            first, *rest = group.split(":")
            code = int(first or 0)
            if code in _COLOURS:
                colour = _read_colour(iter([part for part in rest if part]) if rest else groups)
                field = _COLOURS[code]
                style = style._with({field: colour}) if field else style
            elif code == 4 and rest[:1] == ["0"]:
                style = style._replace(underline=False)
            else:
                style = style._after_code(code)
        return style

    def _with(self, changes: dict[str, Any]) -> Style:
        return self._replace(**changes)

    def _after_code(self, code: int) -> Style:
        tens, unit = divmod(code, 10)
        if code == 0:
            return Style()
        if code in _ON:
            return self._with({_ON[code]: True})
        if code in _OFF:
            return self._with(dict.fromkeys(_OFF[code], False))
        if code in (39, 49):
            return self._replace(fg="") if code == 39 else self._replace(bg="")
        if unit < 8 and tens in (3, 9):
            return self._replace(fg=_name(unit + 8 * (tens == 9)))
        if unit < 8 and tens in (4, 10):
            return self._replace(bg=_name(unit + 8 * (tens == 10)))
        return self


class Span(NamedTuple):
    """A part of a line that has a style: from the character `start` to before the character `end`."""

    start: int
    end: int
    style: Style


def without_colours(text: str) -> str:
    r"""Return a text without the sequences of colours.

    Example:
        >>> without_colours("\x1b[1;32mpassed\x1b[0m in 3 s")
        'passed in 3 s'
    """
    return SEQUENCE.sub("", text) if "\x1b" in text else text


def read_colours(line: str) -> tuple[str, list[Span]]:
    r"""Return a line without the sequences, and its parts that have a style.

    Example:
        >>> read_colours("\x1b[31mfailed\x1b[0m")[1][0].style.fg
        'red'
    """
    if "\x1b" not in line:
        return line, []
    texts: list[str] = []
    spans: list[Span] = []
    length = 0
    for text, style in styled_parts(line, Style()):
        if style != Style() and text:
            if spans and spans[-1].end == length and spans[-1].style == style:
                spans[-1] = spans[-1]._replace(end=length + len(text))
            else:
                spans.append(Span(length, length + len(text), style))
        texts.append(text)
        length += len(text)
    return "".join(texts), spans


def styled_parts(text: str, style: Style) -> Iterator[tuple[str, Style]]:
    """Yield the parts of a text between its sequences, each with its style; the last one may be empty.

    Args:
        text: The text.
        style: Its style before the first sequence.
    """
    pieces = SEQUENCE.split(text)
    yield pieces[0], style
    for parameters, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        style = style.after(parameters)
        yield piece, style


def end_colours(line: str) -> str:
    r"""Return a line that changes nothing after it.

    Example:
        >>> end_colours("\x1b[31mred"), end_colours("plain")
        ('\x1b[31mred\x1b[0m', 'plain')
    """
    last = line.rfind("\x1b")
    return line if last < 0 or line.startswith(RESET, last) else line + RESET


def _name(number: int) -> str:
    return _NAMES[number] if number < 8 else f"bright_{_NAMES[number - 8]}"


def _read_colour(numbers: Iterator[str]) -> str:
    """Return the colour that the parameters after 38 or 48 name; "" if they name none."""
    try:
        kind = int(next(numbers) or 0)
        if kind == 5:
            return _from_palette(int(next(numbers) or 0))
        if kind == 2:
            red, green, blue = (int(next(numbers) or 0) for _ in range(3))
            if max(red, green, blue) < 256:
                return f"#{red:02x}{green:02x}{blue:02x}"
    except (StopIteration, RuntimeError, ValueError):  # too few; too few within the generator; a ":" in it
        pass
    return ""


def _from_palette(number: int) -> str:
    if number < 16:
        return _name(number)
    if number < 232:
        red, green, blue = (_LEVELS[(number - 16) // unit % 6] for unit in (36, 6, 1))
        return f"#{red:02x}{green:02x}{blue:02x}"
    if number < 256:
        return f"#{8 + 10 * (number - 232):02x}" + f"{8 + 10 * (number - 232):02x}" * 2
    return ""


#: Numbers of the colours of the palette of 256 that have no name. More terminals know these than `#rrggbb`.
_PALETTE = {_from_palette(number): number for number in range(16, 256)}


def _colour_codes(colour: str, base: int) -> list[str]:
    """Return the parameters of a colour; `base` is 30 for the text, 40 for behind it."""
    if not colour:
        return []
    if colour in _PALETTE:
        return [str(base + 8), "5", str(_PALETTE[colour])]
    if colour.startswith("#"):
        return [str(base + 8), "2", *(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))]
    name = colour.removeprefix("bright_")
    return [str(base + 60 * (name != colour) + _NAMES.index(name))]


def has_no_colour() -> bool:
    """Return whether `NO_COLOR` has a value: then nothing on a terminal has colours."""
    return bool(os.environ.get("NO_COLOR"))
