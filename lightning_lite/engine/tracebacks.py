"""Tracebacks as people want them: the frames of their own code, ours folded.

in a work's process   format_user_frames      text, for the report and for the cause of what is raised
in the main process   leave_out_own_frames    the exception itself, before it leaves `app.run()`
"""

from __future__ import annotations

import os

from lightning_lite.errors import LightningLiteError
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from traceback import StackSummary, TracebackException
    from types import TracebackType
    from typing import Any

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = ("site-packages", "dist-packages")

#: A frame that stands for several, as `traceback` writes it.
_FOLDED = r'(?m)^( +)File "<lightning_lite>", line (\d+), in frames$'

#: A frame in a text that is not followed by its line of code.
_FRAME_WITHOUT_LINE = r'(?m)^( +)File "([^"\n]+)", line (\d+), in .*\n(?!\1  \S)'


class RemoteTraceback(Exception):
    """The traceback of an exception in the process of a work, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return self.text.rstrip()


def format_user_frames(error: BaseException) -> str:
    """Return the traceback of `error` and of what led to it, as text.

    Our own frames that lead to the user's code are left out, those in between and behind are folded to one
    line. Where an error that nobody has foreseen comes out of our own code, the last frames are shown.
    """
    import re  # noqa: PLC0415 - 10 ms that only a failure has to pay
    import traceback  # noqa: PLC0415 - as above

    found = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    for one, its_error in _chain(found, error):
        one.stack = traceback.StackSummary.from_list(_fold(one.stack, its_error, its_error is error))
    return re.sub(_FOLDED, _say_folded, "".join(found.format()))


def fill_in_source(text: str) -> str:
    r"""Return a traceback of another process with the code that only this one knows, of notebooks.

    Example:
        >>> import linecache
        >>> linecache.cache["cell"] = 10, None, ["x = 1\n", "1 / 0\n"], "cell"
        >>> print(fill_in_source('  File "cell", line 2, in <module>\nZeroDivisionError: division by zero'))
          File "cell", line 2, in <module>
            1 / 0
        ZeroDivisionError: division by zero
    """
    import linecache  # noqa: PLC0415 - as above
    import re  # noqa: PLC0415 - as above

    def with_line(frame: re.Match[str]) -> str:
        line = linecache.getline(frame[2], int(frame[3])).strip()
        return f"{frame[0]}{frame[1]}  {line}\n" if line else frame[0]

    return re.sub(_FRAME_WITHOUT_LINE, with_line, text)


def leave_out_own_frames(error: BaseException) -> None:
    """Take our own frames out of the traceback of `error`, and of what led to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.__traceback__ = _cut(one, is_last=one is error)
            waiting += one.__cause__, one.__context__


def _cut(error: BaseException, *, is_last: bool) -> TracebackType | None:
    """Return the traceback of `error` without the frames that are to be hidden; it is changed."""
    entries = []
    entry = error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    hidden = _hidden([entry.tb_frame.f_code.co_filename for entry in entries], error, is_last)
    shown = [entry for entry, is_hidden in zip(entries, hidden, strict=True) if not is_hidden]
    for above, below in zip(shown, [*shown[1:], None], strict=False):
        above.tb_next = below
    return shown[0] if shown else None


def _fold(stack: StackSummary, error: BaseException, is_last: bool) -> Iterator[Any]:
    """Yield the frames to show, and one for each run of hidden frames behind the first of them."""
    hidden = _hidden([frame.filename for frame in stack], error, is_last)
    num_hidden, has_begun = 0, False
    for frame, is_hidden in zip([*stack, None], [*hidden, False], strict=True):
        if is_hidden:
            num_hidden += 1
            continue
        if num_hidden and has_begun:
            yield "<lightning_lite>", num_hidden, "frames", ""
        num_hidden, has_begun = 0, True
        if frame is not None:
            yield frame


def _hidden(files: list[str], error: BaseException, is_last: bool) -> list[bool]:
    """Return for each frame of a traceback, by the file of its code, whether it is to be hidden.

    Those of the standard library that we have called are hidden like ours.

    Args:
        files: The files of the frames.
        error: The exception.
        is_last: Whether it is the one that arrives, not one that has led to it.
    """
    hidden, was_ours = [], False
    for file in files:
        was_ours = file.startswith(_PACKAGE) or (was_ours and _is_standard(file))
        hidden.append(was_ours)
    is_foreseen = isinstance(error, LightningLiteError) or not isinstance(error, Exception)
    is_told = isinstance(error.__cause__, RemoteTraceback) or (all(hidden) and not is_last)
    if not is_foreseen and not is_told:
        # It comes from the user's code; or from ours, by an accident, and then these frames say most.
        for index in reversed(range(len(hidden))):
            if not hidden[index]:
                break
            hidden[index] = False
    return hidden


def _is_standard(file: str) -> bool:
    return file.startswith(("<frozen ", _STANDARD_LIBRARY)) and not any(part in file for part in _INSTALLED)


def _chain(
    found: TracebackException, error: BaseException
) -> Iterator[tuple[TracebackException, BaseException]]:
    """Yield what is found out about `error` and each one that led to it, with these."""
    yield found, error
    for one, its_error in ((found.__cause__, error.__cause__), (found.__context__, error.__context__)):
        if one is not None and its_error is not None:
            yield from _chain(one, its_error)


def _say_folded(frames: re.Match[str]) -> str:
    return f"{frames[1]}... {frames[2]} frame{'' if frames[2] == '1' else 's'} of lightning_lite"
