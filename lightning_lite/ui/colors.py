"""Colour on terminals that show it, unless `NO_COLOR` asks for none."""

from __future__ import annotations

from typing import TextIO

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")


def in_colour(stream: TextIO, text: str, style: str) -> str:
    """Return `text` with what colours it on the terminal `stream`; nothing in it is markup.

    Args:
        stream: Where it will be written.
        text: Harmless text.
        style: What rich calls a style, like `bold red`.
    """
    isatty = getattr(stream, "isatty", None)  # a class of the user's may do nothing but write
    if isatty is None or not isatty():
        return text
    from rich.console import Console  # noqa: PLC0415 - 70 ms, and only a terminal needs it
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(file=stream)  # knows NO_COLOR, and what the terminal can do
    with console.capture() as capture:
        console.print(Text(text, style=style), end="", soft_wrap=True)
    return capture.get()


class Palette:
    """A colour for each work, in the order in which they are first seen.

    Example:
        >>> palette = Palette()
        >>> palette.colour_of("root.train"), palette.colour_of("root.eval"), palette.colour_of("root.train")
        ('cyan', 'magenta', 'cyan')
    """

    def __init__(self) -> None:
        self._colours: dict[str, str] = {}

    def colour_of(self, work: str) -> str:
        """Return the colour of a work."""
        return self._colours.setdefault(work, _COLOURS[len(self._colours) % len(_COLOURS)])
