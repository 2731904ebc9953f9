r"""The frames in the text of a traceback, the frames of the user's code first.

>>> text = 'Traceback (most recent call last):\n  File "/home/ada/app.py", line 3, in run\n    1 / 0\nError'
>>> frames_of(text)
[Frame(file='/home/ada/app.py', line=3, function='run', source='1 / 0', is_user=True)]
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Maximum number of characters of a text that are read, its last ones, and of frames that are returned.
_MAX_TEXT = 256 * 1024
_MAX_FRAMES = 200

_FRAME = re.compile(
    r'^ +File "([^"\n]+)", line (\d+)(?:, in ([^\n]*))?\n(?: {4,}(?!File ")([^\n]*)\n)?', re.MULTILINE
)
_HEAD = "Traceback (most recent call last):"
_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*)(?=:|$)")

#: Parts of paths of code that the user has not written.
_OTHERS = re.compile(r"(^<frozen |/(site|dist)-packages/|/lib/python\d\.\d+/|[/\\]Lib[/\\]|/lightning_lite/)")


class Frame(NamedTuple):
    """One frame.

    Attributes:
        file: Path of the file.
        line: Number of the line.
        function: Name of the function.
        source: The line of code, or "".
        is_user: Whether the code seems to be the user's: it is not of an installed package.
    """

    file: str
    line: int
    function: str
    source: str
    is_user: bool


def frames_of(traceback: str) -> list[Frame]:
    """Return the frames of the exception that a text ends with, not of its causes.

    Those of the user come first; in each group, the frame that raised the exception is the first.

    Args:
        traceback: The text as Python prints it, maybe with text before and behind it.
    """
    last = traceback[-_MAX_TEXT:].rpartition(_HEAD)[2]
    frames = [
        Frame(file, int(line), function, source.strip(), _OTHERS.search(file) is None)
        for file, line, function, source in _FRAME.findall(f"{last}\n")
        if len(line) < 10
    ]
    frames.reverse()
    return sorted(frames[:_MAX_FRAMES], key=lambda frame: not frame.is_user)


def type_of_error(traceback: str) -> str | None:
    r"""Return the name of the class of the exception that a text ends with, or `None`.

    Example:
        >>> type_of_error('Traceback (most recent call last):\n  File "a.py", line 1\napp.Odd: no\nmore')
        'app.Odd'
    """
    _, head, last = traceback[-_MAX_TEXT:].rpartition(_HEAD)
    if not head:
        return None
    for line in last.splitlines()[1:]:
        if line and not line.startswith(" "):
            found = _ERROR.match(line)
            return found[0] if found else None
    return None
