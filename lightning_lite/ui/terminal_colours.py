"""Colours for terminals that support them, unless `NO_COLOR` is set."""

from __future__ import annotations

from typing import TextIO

from lightning_lite.colour_codes import has_no_colour

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")


def in_colour(stream: TextIO, text: str, style: str) -> str:
    """Return `text` with the escape sequences of a style, if `stream` is a terminal with colours.

    Args:
        stream: The stream to which the text will be written.
        text: Harmless text; it is not interpreted as markup.
        style: A style of rich, for example `bold red`.
    """
    isatty = getattr(stream, "isatty", None)  # a user's class may have only `write`
    if isatty is None or not isatty():
        return text
    from rich.console import Console  # noqa: PLC0415 - takes 70 ms, and only terminals need it
    from rich.text import Text  # noqa: PLC0415 - as above

    console = Console(file=stream, no_color=has_no_colour())  # checks the type of the terminal
    with console.capture() as capture:
        console.print(Text(text, style=style), end="", soft_wrap=True)
    return capture.get()


def shows_colours(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that shows colours, and `NO_COLOR` is not set."""
    return not has_no_colour() and in_colour(stream, "x", "red") != "x"


class Palette:
    """Assigns a colour to each work, in the order of their first output.

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
