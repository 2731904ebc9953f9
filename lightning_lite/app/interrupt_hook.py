"""Shows Ctrl-C in one line, without a traceback."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType


def show_without_traceback(error: KeyboardInterrupt) -> None:
    """Let Python show `error` in one line, with its notes, if it ends the program.

    A hook of another program, such as IPython, is not replaced.
    """
    hook = sys.excepthook
    if hook is sys.__excepthook__:
        sys.excepthook = _InterruptHook(error)
    elif isinstance(hook, _InterruptHook):
        hook.error = error


class _InterruptHook:
    """The `sys.excepthook` of Python, except for one exception.

    Attributes:
        error: That exception.
    """

    def __init__(self, error: KeyboardInterrupt) -> None:
        self.error = error

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if error is not self.error:
            sys.__excepthook__(kind, error, trace)
        elif sys.stderr is not None:
            sys.stderr.write("".join(traceback.format_exception_only(error)))
