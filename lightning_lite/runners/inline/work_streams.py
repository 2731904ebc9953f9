"""Redirects `sys.stdout` and `sys.stderr` of inline works: each print gets the name of its work."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from threading import get_ident
from typing import Any, TextIO

from lightning_lite.context import current_caller
from lightning_lite.runners.output.display_queue import Display
from lightning_lite.runners.output.pump import OutputPump


class WorkStreams:
    """Replaces the standard streams from its creation until `close`.

    A print of the code of a work goes to the output of that work. Everything else, also the output and the
    prompts of a debugger, goes to the real streams. The output of C code, and of threads that a work has
    started, belongs to no work and is shown without a name.

    A debugger of a work in the flow's thread has the terminal until the work prints again, or
    `resume_display` is called in that thread.

    Args:
        output: Receives the output of works.
        display: Paused while a debugger uses the terminal.

    Attributes:
        flow_thread: Identifier of the thread in which works run that have no thread of their own.
    """

    def __init__(self, output: OutputPump, display: Display | None) -> None:
        self._output = output
        self._display = display
        self.flow_thread = get_ident()
        self._is_held = False
        self._stdout = _WorkStream(sys.stdout, self)
        self._stderr = _WorkStream(sys.stderr, self)
        sys.stdout, sys.stderr = self._stdout, self._stderr

    def resume_display(self) -> None:
        """Resume the display if a debugger has paused it; without effect in other threads."""
        if self._is_held and get_ident() == self.flow_thread:
            self._release()

    def feed(self, work: str, data: bytes) -> None:
        """Accept output of the code of a work."""
        self.resume_display()
        self._output.feed(work, data)

    def pause_display(self, work: str) -> None:
        """Give the terminal to a debugger of `work`, after all that was printed before is shown."""
        if not self._is_held and self._display is not None and get_ident() == self.flow_thread:
            self._output.flush(work)
            self._display.hold()
            self._is_held = True

    def close(self) -> None:
        """Restore the streams, unless other code has replaced them since; callable from any thread."""
        if self._is_held:
            self._release()
        if sys.stdout is self._stdout:
            sys.stdout = self._stdout.real
        if sys.stderr is self._stderr:
            sys.stderr = self._stderr.real
        self._stdout.is_closed = self._stderr.is_closed = True

    def _release(self) -> None:
        self._is_held = False
        if self._display is not None:
            self._display.release()


class _WorkStream:
    """Replaces one standard stream; passes everything else to the real one."""

    def __init__(self, real: TextIO, streams: WorkStreams) -> None:
        self.real = real
        self.is_closed = False
        self._streams = streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    @property
    def buffer(self) -> Any:
        return self.real.buffer if self._work() is None else _WorkBuffer(self)

    def isatty(self) -> bool:
        """Return `False` for a work, as in a process of its own."""
        isatty = getattr(self.real, "isatty", None)  # a user's class may have only `write`
        return self._work() is None and isatty is not None and isatty()

    def write(self, text: str) -> int:
        work = self._work()
        if work is None:
            return self.real.write(text) if self.real is not None else len(text)
        self._streams.feed(work, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> int:
        work = self._work()
        if work is None:
            return self.real.buffer.write(data)
        self._streams.feed(work, data)
        return len(data)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        if self.real is not None:
            self.real.flush()

    def _work(self) -> str | None:
        """Return the work that writes, or `None` if the text is not for its output."""
        caller = current_caller()
        if caller.kind != "work" or self.is_closed:
            return None
        if _is_debugging():
            self._streams.pause_display(caller.component)
            return None
        return caller.component


class _WorkBuffer:
    """The bytes below a stream, as `sys.stdout.buffer.write(...)` wants them."""

    def __init__(self, stream: _WorkStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream.real.buffer, name)

    def write(self, data: bytes) -> int:
        return self._stream.write_bytes(bytes(data))


def _is_debugging() -> bool:
    """Return whether a debugger traces this thread: pdb, or one that is built on it."""
    bdb = sys.modules.get("bdb")
    if bdb is None:
        return False
    if isinstance(getattr(sys.gettrace(), "__self__", None), bdb.Bdb):
        return True
    monitoring = getattr(sys, "monitoring", None)  # used by pdb from Python 3.14 on
    return monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None
