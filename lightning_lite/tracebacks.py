"""Tracebacks and warnings that show the frames of the user's code, and hide or fold those of this package.

in each process       text_of                 the text of an exception, also of one that has none
                      add_note                a note, also for an exception that refuses assignments
                      find_user_error         which cause of an exception is of the user, and worth showing
                      warn_user               a warning with the line of the user that has called this package
                      warn_at                 a warning with the line at which a function of the user begins
in a work's process   format_user_frames      text, for the report and for the cause of the raised exception
in the main process   leave_out_own_frames    the exception, before it leaves `app.run()` or a constructor
                      format_user_stack       text, for `lightning-lite stack`
                      format_user_trace       the same for the place at which an exception was raised
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType

from lightning_lite.errors import LightningLiteError
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from traceback import StackSummary, TracebackException
    from typing import Any

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_INSTALLED = ("site-packages", "dist-packages")
_CLOUDPICKLE = f"{os.sep}cloudpickle{os.sep}"

#: The line that `traceback` writes for a frame that stands for several hidden ones.
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


def text_of(error: BaseException) -> str:
    """Return `str(error)`, or that this can't be read: the class of a user decides what its `__str__` raises.

    Example:
        >>> class Odd(Exception):
        ...     def __str__(self):
        ...         return self.missing
        >>> text_of(Odd()), text_of(KeyError("rate"))
        ("its text can't be read, AttributeError", "'rate'")
    """
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - it runs code of the user's class
        return f"its text can't be read, {type(broken).__name__}"


def add_note(error: BaseException, note: str) -> None:
    """Do the same as `error.add_note(note)`, also for an exception that is a frozen dataclass."""
    notes = [*getattr(error, "__notes__", ()), note]
    BaseException.__setattr__(error, "__notes__", notes)  # its own `__setattr__` would raise


def find_user_error(error: BaseException | None) -> BaseException | None:
    """Return the first one of `error` and its causes that has come out of code of the user, or `None`.

    An error of this package says all that is known about the others, which are steps of this package. The
    exception of a signal, which is no `Exception`, counts as one of the user: it ends the app.
    """
    while isinstance(error, Exception) and not _is_of_user(error):
        error = error.__cause__
    return error


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn with the last line of the user's code that led here, in place of a line of this package.

    Args:
        message: The text.
        category: The class of the warning.
    """
    frames: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    frames.reverse()
    ours = _ours([each.f_code.co_filename for each in frames])
    shown = [
        each
        for each, is_ours in zip(frames, ours, strict=True)
        if not is_ours and not _is_standard(each.f_code.co_filename)  # as those that start a thread
    ]
    place = (shown or frames)[-1]
    _warn(message, category, place.f_code.co_filename, place.f_lineno, place.f_globals)


def warn_at(function: Any, message: str, category: type[Warning]) -> None:
    """Warn with the first line of a function of the user; if it has none, as `warn_user`.

    Args:
        function: The function or method. This package may have wrapped it.
        message: The text.
        category: The class of the warning.
    """
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(function, "__code__", None)
    if code is None or code.co_filename.startswith(_PACKAGE):  # a mock, or a flow of this package
        warn_user(message, category)
        return
    _warn(message, category, code.co_filename, code.co_firstlineno, function.__globals__)


def _warn(message: str, category: type[Warning], file: str, line: int, space: dict[str, Any]) -> None:
    """Warn with a line of a file; `space` has the globals of its code."""
    import warnings  # noqa: PLC0415 - 1 ms in each work, needed only for a warning

    warnings.warn_explicit(
        message,
        category,
        file,
        line,
        # Without a name, as in code of `exec` with a namespace of its own, Python would drop the warning.
        module=space.get("__name__") or "<unknown>",
        registry=space.setdefault("__warningregistry__", {}),  # as `warnings.warn` does
    )


def format_user_frames(error: BaseException) -> str:
    """Return the traceback of `error` and of its causes as text.

    Frames of this package that call the user's code are left out; later ones are folded to one line. If an
    unexpected error comes out of this package, its last frames are shown.
    """
    import re  # noqa: PLC0415 - 10 ms in each work, needed only after a failure
    import traceback  # noqa: PLC0415 - as above

    found = traceback.TracebackException(type(error), error, error.__traceback__, compact=True)
    for one, its_error in _chain(found, error):
        one.stack = traceback.StackSummary.from_list(_fold(one.stack, its_error, its_error is error))
    return re.sub(_FOLDED, _describe_folded, "".join(found.format()))


def format_user_stack(frame: FrameType) -> str:
    """Return the stack of a thread as text, without the frames of this package after the user's last one.

    Args:
        frame: The innermost frame.
    """
    import traceback  # noqa: PLC0415 - as above

    stack = traceback.extract_stack(frame)
    ours = _ours([entry.filename for entry in stack])
    while ours and ours[-1]:
        ours.pop()
    return "".join(traceback.format_list(stack[: len(ours)]))


def format_user_trace(error: BaseException) -> str:
    """Return the traceback of an exception as text, without the frames of this package.

    Args:
        error: The exception; it may have been raised in another thread.
    """
    import traceback  # noqa: PLC0415 - only a command of another terminal needs it

    # `walk_tb` gives no columns, so no markers stand below the lines, as in `format_user_stack`.
    stack = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__))
    ours = _ours([entry.filename for entry in stack])
    shown = [entry for entry, is_ours in zip(stack, ours, strict=True) if not is_ours]
    return "".join(traceback.format_list(shown))


def fill_in_source(text: str) -> str:
    r"""Return the traceback of another process, with the lines of code of notebook cells.

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


def without_own_fault_frames(text: str) -> str:
    r"""Return the output of a process without the frames of this package that `faulthandler` wrote.

    After a crash they are the last lines, and would hide the line of the user's code.

    Example:
        >>> text = f'  File "train.py", line 3 in run\n  File "{__file__}", line 1 in main\n'
        >>> without_own_fault_frames(text)
        '  File "train.py", line 3 in run\n'
    """
    import re  # noqa: PLC0415 - as above

    own = rf'(?m)^  File "{re.escape(_PACKAGE)}[^"\n]*", line \d+ in .*\n'
    outermost = r'(?:  File "<string>", line 1 in <module>\n)?'  # of a process started with `python -c`
    return re.sub(own + outermost, "", text)


def leave_out_own_frames(error: BaseException) -> None:
    """Remove the frames of this package from the tracebacks of `error`, its causes and contexts."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            one.with_traceback(_cut(one, is_last=one is error))
            waiting += one.__cause__, one.__context__


def _cut(error: BaseException, *, is_last: bool) -> TracebackType | None:
    """Unlink the hidden frames from the traceback of `error`, and return its new start."""
    entries = _entries_of(error)
    hidden = _hidden(_files_of(entries), error, is_last)
    shown = [entry for entry, is_hidden in zip(entries, hidden, strict=True) if not is_hidden]
    for above, below in zip(shown, [*shown[1:], None], strict=False):
        above.tb_next = below
    return shown[0] if shown else None


def _fold(stack: StackSummary, error: BaseException, is_last: bool) -> Iterator[Any]:
    """Yield the visible frames, and a placeholder for each run of hidden frames that is not at the start."""
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
    """Return for each frame of a traceback, by the file of its code, whether to hide it.

    Frames of this package, and of the libraries that it called to pickle, for example, are hidden.

    Args:
        files: The files of the frames.
        error: The exception.
        is_last: Whether it is the exception itself, not a cause or context of another one.
    """
    hidden = _ours(files)
    is_expected = isinstance(error, LightningLiteError) or not isinstance(error, Exception)
    is_reported = isinstance(error.__cause__, RemoteTraceback) or (all(hidden) and not is_last)
    if not is_expected and not is_reported:
        # It is an error of the user's code, or a defect of this package: then show the frames that raised it.
        for index in reversed(range(len(hidden))):
            if not hidden[index]:
                break
            hidden[index] = False
    return hidden


def _is_of_user(error: BaseException) -> bool:
    return not all(_ours(_files_of(_entries_of(error))))


def _entries_of(error: BaseException) -> list[TracebackType]:
    """Return the entries of the traceback of `error`, the outermost first."""
    entries = []
    entry = error.__traceback__
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    return entries


def _files_of(entries: list[TracebackType]) -> list[str]:
    return [entry.tb_frame.f_code.co_filename for entry in entries]


def _ours(files: list[str]) -> list[bool]:
    """Return for each frame whether it is of this package, or of a library that it called."""
    ours, was_ours = [], False
    for file in files:
        was_ours = file.startswith(_PACKAGE) or (was_ours and (_is_standard(file) or _CLOUDPICKLE in file))
        ours.append(was_ours)
    return ours


def _is_standard(file: str) -> bool:
    return file.startswith(("<frozen ", _STANDARD_LIBRARY)) and not any(part in file for part in _INSTALLED)


def _chain(
    found: TracebackException, error: BaseException
) -> Iterator[tuple[TracebackException, BaseException]]:
    """Yield `found` with `error`, then the same for all causes and contexts."""
    yield found, error
    for one, its_error in ((found.__cause__, error.__cause__), (found.__context__, error.__context__)):
        if one is not None and its_error is not None:
            yield from _chain(one, its_error)


def _describe_folded(frames: re.Match[str]) -> str:
    return f"{frames[1]}... {frames[2]} frame{'' if frames[2] == '1' else 's'} of lightning_lite"
