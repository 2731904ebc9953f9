"""The process of a work: the main thread runs the calls, a helper thread reads the control pipe.

    calls ───▶ main thread     RunCall ─▶ work_side.perform                        ┐
    control ─▶ helper thread   WriteState, AcknowledgeState ─▶ work_side.receive   ├─▶ reports
               (asleep)        StopWork ─▶ wake the main thread, and a signal      ┘
                               the pipe ends: the main process is lost ─▶ everything here ends

The main thread reads calls itself, because to hand over a call would cost more than the call. A stop is
`StopRun`, raised in the main thread: once, never within a message, and never within `on_exit`. In a running
call a handler of SIGTERM raises it. If the user's code has replaced that handler, it gets SIGTERM once, and
the work ends after the call. The app sends another signal, whose handler sends SIGTERM to this process: only
that can restore our handler first if the user's code has left the default action.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # signal itself makes enums, for 3 ms
import io
import marshal
import os
import select
import sys
from _thread import allocate_lock, get_ident, start_new_thread  # threading would cost each child 6 ms
from collections import deque
from time import monotonic

from lightning_lite.context import Caller, set_process_caller
from lightning_lite.errors import RunnerError, StopRun
from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING, assert_never
from lightning_lite.masking import mask_failure
from lightning_lite.messages import (
    AcknowledgeState,
    Failure,
    RunCall,
    RunEnded,
    StartFailed,
    StopWork,
    WorkStarted,
    WriteState,
)
from lightning_lite.process_places import Place
from lightning_lite.runners.wire.channel import CHUNK, MessageReader, PipeWriter
from lightning_lite.runners.wire.poller import SpinWait
from lightning_lite.runners.wire.terminal_messages import TerminalGranted
from lightning_lite.runners.wire.work_signals import (
    ENDED_BY_SIGTERM,
    STOP_SIGNAL,
    SignalHold,
    register_at_fork,
    write_stacks_on_demand,
)
from lightning_lite.runners.worker import current_process
from lightning_lite.runners.worker.terminal_access import TerminalClient
from lightning_lite.sockets import node_address
from lightning_lite.tracebacks import format_user_frames, text_of
from lightning_lite.values.namespaces import expect_script
from lightning_lite.values.pickling import pack_error, unpack
from lightning_lite.values.secret_texts import add_texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType
    from typing import Any, NoReturn

    from lightning_lite.main_messages import Report
    from lightning_lite.runners.base import WorkSide
    from lightning_lite.runners.wire.terminal_messages import ControlMessage


def start_failure(work: str, error: BaseException) -> Failure:
    """Return the failure of a start, from an error in the loading of `work` or in its `on_start`."""
    lines = text_of(error).splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    message = f"{work} could not start: {what}"
    return mask_failure(Failure("start_failed", message, format_user_frames(error), pack_error(error)))


def end_work(work: str, work_side: WorkSide) -> bool:
    """Run `on_exit` of a work and send its last changes; an exception is printed to the output of the work.

    Returns:
        Whether `on_exit` and the sending have raised no exception.
    """
    try:
        work_side.close()
    except BaseException as error:  # noqa: BLE001 - the user's `on_exit` must not keep the work from ending
        if isinstance(error, SystemExit) and not error.code:
            return True
        headline = f"on_exit of {work} raised an exception, which does not change how its calls have ended:"
        try:
            sys.stderr.write(f"{headline}\n{format_user_frames(error)}")
        except (AttributeError, OSError, ValueError):
            pass  # the user has closed or replaced the stream
        return False
    return True


#: Imported by name, the first if this process has a socket for file descriptors, the second if some came.
_DESCRIPTOR_CHANNEL = "lightning_lite.runners.worker.descriptor_channel"
_SHARED_OBJECTS = "lightning_lite.values.multiprocessing_objects"

#: Imported by name, if the script has changed settings of the interpreter or of `logging`.
_INTERPRETER_SETTINGS = "lightning_lite.runners.wire.interpreter_settings"

#: Imported by name at the first `breakpoint()`.
_DEBUGGER = "lightning_lite.runners.worker.debugger"

#: Seconds until the main thread gets SIGTERM again: a signal may come just before it blocks in a system call.
_SIGNAL_AGAIN = 0.05

#: Seconds after a fork in which a stop waits until the instruction of the fork has ended. It needs less than
#: a millisecond; later, the same instruction may have called another function, which a stop must interrupt.
_FORK_RETURNS = 0.5


class Child:
    """One work in its own process.

    Args:
        work: Name of the work.
        calls: Read end of the pipe of calls.
        control: Read end of the pipe of messages to a running work.
        messages: Write end of the pipe of reports.
        channel: Socket on which file descriptors for the work come, or -1 if there are none.
    """

    def __init__(self, work: str, calls: int, control: int, messages: int, channel: int = -1) -> None:
        self._work = work
        self._calls = calls
        self._control = control
        self._channel = channel
        self._parent = 0
        self._messages = MessageSender(messages)
        self._terminal = TerminalClient(work, self._send, _DEBUGGER)
        self._helper_reader, self._helper_writer = os.pipe()
        os.set_blocking(self._helper_writer, False)
        self._stop_reader, self._stop_writer = os.pipe()  # can be read when the main thread has to stop
        self._main = get_ident()
        self._work_side: WorkSide
        self._is_open = False
        self._is_forked = False  # whether this is a process that the work has forked
        # How a stop gets into the main thread now; `None` while it must not.
        self._interrupt: Callable[[], None] | None = None
        self._is_stop_requested = False  # by the app
        self._is_stop_due = False
        self._has_stopped = False
        self._is_left_to_user = False  # whether a handler of the user's code has got the signal to stop
        self._signal_hold = SignalHold({signal.SIGTERM, STOP_SIGNAL})
        self._interrupt_before_fork: Callable[[], None] | None = None
        self._fork_instruction: tuple[CodeType, int] | None = None
        self._fork_time = 0.0
        # Of the helper thread: the times at which it looks for changes, and stops the main thread (again).
        self._look_at: float | None = None
        self._stop_at: float | None = None

    def live(self, setup: dict[str, Any], packed_secrets: bytes, packed_machine: bytes) -> int:
        """Start the work, run its calls until it is stopped, and return the exit code of the process."""
        add_texts(setup["secrets"])
        add_texts(marshal.loads(packed_secrets))
        self._settle(setup)
        try:
            try:
                if not self._start(setup, packed_machine):
                    return 1
                self._serve()
            except StopRun:
                self._interrupt = None
                self._has_stopped = True
            # Not in the `except` block: an exception of `on_exit` would have `StopRun` as its context.
            if self._is_open and not end_work(self._work, self._work_side):
                return 1
            return 0 if self._is_stop_requested else ENDED_BY_SIGTERM
        finally:
            self._interrupt = None
            # Python takes its handlers back before the process ends; a late signal would look like a crash.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(STOP_SIGNAL, signal.SIG_IGN)
            self._messages.drain()

    # The beginning.

    def _settle(self, setup: dict[str, Any]) -> None:
        """Prepare this process as the work expects it, before any of its code runs."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        write_stacks_on_demand()
        self._terminal.serve_breakpoints()
        expect_script()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the flow handles Ctrl-C
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(STOP_SIGNAL, self._on_stop_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP_SIGNAL})
        sys.unraisablehook = self._on_unraisable
        register_at_fork(self._before_fork, self._after_fork_in_parent, self._after_fork_in_child)
        if setup["settings"] is not None:
            late_import(_INTERPRETER_SETTINGS).apply(setup["settings"])
        self._parent = setup["parent"]
        current_process.register(self._work, self._parent)
        app = (setup["root"], setup["durable"], setup["values"], setup["project"], setup["drives"])
        set_process_caller(Caller("work", self._work, *app, setup["session"]))
        start_new_thread(self._help, ())

    def _start(self, setup: dict[str, Any], packed_machine: bytes) -> bool:
        self._allow_stop(_stop_here)
        try:
            if setup["cwd"] is not None:
                os.chdir(setup["cwd"])
            if setup["function"] is not None:
                unpack(setup["function"])()
            # Known to the helper from now on: changes in `on_start` are acknowledged, too.
            work_side = self._work_side = self._unpack_machine(packed_machine)
            work_side.open(self._send, self._wake_helper)
        except StopRun:
            raise
        except BaseException as error:  # noqa: BLE001 - the flow has to learn of any exception
            self._interrupt = None
            self._send(StartFailed(self._work, start_failure(self._work, error)))
            return False
        self._is_open = True
        self._send(WorkStarted(self._work, Place(setup["host"], os.getpid()), node_address()))
        return True

    def _unpack_machine(self, packed: bytes) -> Any:
        fds: list[int] = []
        if self._channel >= 0:
            fds = late_import(_DESCRIPTOR_CHANNEL).receive(self._channel)
        if not fds:
            return unpack(packed)
        return late_import(_SHARED_OBJECTS).unpack_shared(packed, fds)

    # The main thread.

    def _serve(self) -> NoReturn:
        reader = MessageReader()
        calls: deque[RunCall] = deque()
        poller = select.poll()
        poller.register(self._calls, select.POLLIN)
        poller.register(self._stop_reader, select.POLLIN)
        spin_wait = SpinWait(poller)
        while True:
            self._replace_default_action()
            self._allow_stop(_stop_here)
            while not calls and not self._is_stop_requested:
                if not spin_wait.spin():
                    poller.poll()
                spin_wait.answered()
                if self._is_stop_requested:
                    break
                data = os.read(self._calls, CHUNK)
                if not data:
                    _end_with_the_main_process()
                calls += reader.feed(data)
            if self._is_stop_requested:
                self._interrupt = None  # SIGTERM may come at the same time, and must not raise it again
                raise StopRun
            self._allow_stop(self._work_side.interrupt)
            self._work_side.perform(calls.popleft())
            spin_wait.sent()

    def _allow_stop(self, interrupt: Callable[[], None]) -> None:
        self._interrupt = interrupt
        if self._is_stop_due:
            self._stop_now()

    def _replace_default_action(self) -> None:
        """Handle SIGTERM again if the user's code has left the default action, as asyncio does.

        Otherwise SIGTERM would end the process without `finally` blocks and `on_exit`.
        """
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_stop_signal(self, signum: int, frame: FrameType | None) -> None:
        if self._is_left_to_user:
            return  # the user's handler gets SIGTERM once, however often the app asks
        if self._has_stopped:
            return  # the message to stop came first, and `on_exit` runs or has run
        self._replace_default_action()
        self._is_left_to_user = signal.getsignal(signal.SIGTERM) != self._on_sigterm
        # To the process, not to this thread: a thread of the user may wait for it.
        os.kill(os.getpid(), signal.SIGTERM)

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        self._is_stop_due = True
        if not self._is_returning_from_fork(frame):
            self._stop_now()
        elif self._stop_at is None:
            self._wake_helper()  # which sends the signal until it has taken effect

    def _stop_now(self) -> None:
        interrupt = self._interrupt
        if interrupt is not None and not self._has_stopped:
            self._is_stop_due = False
            # In a call it is raised once, because the call may be cleaning up. Between calls, the helper
            # sends the signal until it has taken effect.
            self._has_stopped = interrupt is not _stop_here
            interrupt()

    def _on_unraisable(self, unraisable: Any) -> None:
        """Raise a stop again that was raised in `__del__` or a callback: Python ignores exceptions there."""
        if get_ident() != self._main:
            sys.__unraisablehook__(unraisable)
            return
        interrupt, self._interrupt = self._interrupt, None  # because it ignores them here, too
        if isinstance(unraisable.exc_value, StopRun):
            self._has_stopped, self._is_stop_due = False, True
        else:
            sys.__unraisablehook__(unraisable)
        if self._is_stop_due and self._stop_at is None:
            self._wake_helper()  # which sends the signal until it has taken effect
        trace = unraisable.exc_traceback
        if self._is_forked or trace is None or trace.tb_frame.f_code is not Child._before_fork.__code__:
            self._interrupt = interrupt
        else:
            # It was cut, by a stop or a handler of the user. Without its steps, the stop could be raised once
            # more before the fork has returned, and the child could lose a signal.
            if interrupt is not None:
                self._interrupt_before_fork = interrupt
            self._note_fork(trace.tb_frame.f_back)
            self._signal_hold.hold()

    def _send(self, message: Report) -> None:
        """Send a report, never interrupted; the output of a call is flushed before its `RunEnded`."""
        if get_ident() != self._main:
            self._messages.send(message)
            return
        interrupt, self._interrupt = self._interrupt, None
        try:
            if type(message) is RunEnded:
                _flush_output()
            self._messages.send(message)
        finally:
            self._interrupt = interrupt
        if self._is_stop_due:
            self._stop_now()

    # The helper thread.

    def _help(self) -> None:
        # A stop is for the main thread alone.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, STOP_SIGNAL})
        try:
            self._listen()
        except BaseException:  # noqa: BLE001 - without its helper a work could not be stopped any more
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _listen(self) -> NoReturn:
        reader = MessageReader()
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._helper_reader, select.POLLIN)
        while True:
            dues = [due for due in (self._look_at, self._stop_at) if due is not None]
            ready = poller.poll(max(0.0, min(dues) - monotonic()) * 1000 if dues else None)
            for fd, _ in ready:
                data = os.read(fd, CHUNK)
                if fd == self._helper_reader:
                    self._on_helper_woken()
                elif data:
                    for message in reader.feed(data):
                        self._on_control_message(message)
                else:
                    _end_with_the_main_process()
            self._do_what_is_due(monotonic())

    def _on_helper_woken(self) -> None:
        """Look for changes now, and stop the main thread if a stop is due."""
        self._look_at = monotonic()
        if self._is_stop_due:
            self._stop_at = self._look_at

    def _on_control_message(self, message: ControlMessage) -> None:
        match message:
            case WriteState() | AcknowledgeState():
                self._work_side.receive(message)
            case StopWork():
                self._stop_at = monotonic()
                self._is_stop_requested = True
                os.write(self._stop_writer, b"\0")
            case TerminalGranted():
                self._terminal.on_granted(message)
            case _:
                assert_never(message)

    def _do_what_is_due(self, now: float) -> None:
        if self._stop_at is not None and now >= self._stop_at:
            self._stop_at = self._stop_main(now)
        if self._look_at is not None and now >= self._look_at:
            pause = self._work_side.report_changes()
            self._look_at = None if pause is None else now + pause

    def _stop_main(self, now: float) -> float | None:
        """Make the main thread stop; return when to do so again, or `None` if it has stopped."""
        if self._has_stopped or self._is_left_to_user:
            return None
        handler = signal.getsignal(signal.SIGTERM)
        if handler == signal.SIG_DFL:
            signal.pthread_kill(self._main, STOP_SIGNAL)
            return now + _SIGNAL_AGAIN
        is_ours = handler == self._on_sigterm
        if is_ours or not self._is_open:  # else the app has sent the one signal for the user's handler
            signal.pthread_kill(self._main, signal.SIGTERM)
        return now + _SIGNAL_AGAIN if is_ours else None

    def _wake_helper(self) -> None:
        if self._is_forked:
            return  # it has no helper, and another file may have got the number of the pipe
        try:
            os.write(self._helper_writer, b"\0")
        except BlockingIOError:  # the helper has not even begun to read the earlier ones
            pass

    # A work that forks.

    def _before_fork(self) -> None:
        # `StopRun` may be raised here until `_interrupt` is `None`. Python ignores exceptions of such a
        # function; `_on_unraisable` does what is missing, and makes the helper stop this thread again.
        if self._is_forked:
            return
        if get_ident() == self._main:
            self._interrupt_before_fork, self._interrupt = self._interrupt, None
            self._note_fork(sys._getframe(1))
        self._signal_hold.hold()

    def _note_fork(self, frame: FrameType | None) -> None:
        """Note the instruction of the user's code that forks."""
        self._fork_instruction = (frame.f_code, frame.f_lasti) if frame is not None else None

    def _is_returning_from_fork(self, frame: FrameType | None) -> bool:
        """Return whether the main thread has not come back from `os.fork` to the user's code.

        Since Python 3.12, `os.fork` warns that the process has several threads, after all functions below.
        If a signal handler raises an exception during that, Python drops it without a report.

        Args:
            frame: The frame that a signal has interrupted.
        """
        if monotonic() - self._fork_time > _FORK_RETURNS:
            return False  # another call by the same instruction
        while frame is not None and (frame.f_code, frame.f_lasti) != self._fork_instruction:
            frame = frame.f_back
        return frame is not None

    def _after_fork_in_parent(self) -> None:
        if self._is_forked:
            return
        self._signal_hold.release()
        if get_ident() == self._main and self._interrupt_before_fork is not None:
            if self._is_stop_due:
                self._wake_helper()  # it sends the signal again; an exception here would be ignored
            self._fork_time = monotonic()
            # The last step: Python handles no signal in this function after it.
            self._interrupt, self._interrupt_before_fork = self._interrupt_before_fork, None

    def _after_fork_in_child(self) -> None:
        """Hold none of the pipes in a forked child, so that they end when the work does."""
        if self._is_forked:
            return  # a child of that child: its parent has closed them, and may have files with their numbers
        self._is_forked = True
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._signal_hold.release()
        pipes = self._stop_reader, self._stop_writer, self._helper_reader, self._helper_writer
        for fd in (self._calls, self._control, *pipes):
            os.close(fd)
        self._messages.close(f"a process that {self._work} has forked can't write to its state")
        if hasattr(self, "_work_side"):  # it comes after the first code of the user
            self._work_side.after_fork()


class MessageSender:
    """Sends messages from any thread, and never waits for their reader.

    Bytes that the pipe does not accept are left to a thread that ends when it has written them.

    Args:
        fd: Write end of the pipe.
    """

    def __init__(self, fd: int) -> None:
        self._pipe = PipeWriter(fd)
        self._lock = allocate_lock()
        self._is_flushing = False
        self._closed = ""

    def send(self, message: Report) -> None:
        """Send `message` after all earlier ones.

        Raises:
            RunnerError: The sender is closed; the error says why.
        """
        if self._closed:
            raise RunnerError(self._closed)
        with self._lock:
            self._pipe.put(message)
            if self._is_flushing or self._pipe.push():
                return
            self._is_flushing = True
        try:
            start_new_thread(self.drain, ())
        except RuntimeError:  # there are too many; then this one has to wait
            self.drain()

    def drain(self) -> None:
        """Return when everything is out."""
        if self._closed:
            return
        poller = select.poll()
        poller.register(self._pipe.fd, select.POLLOUT)
        while True:
            with self._lock:
                if self._pipe.push():
                    self._is_flushing = False
                    return
            poller.poll()

    def close(self, why: str) -> None:
        """Close the pipe and refuse all messages from now on."""
        self._closed = why
        os.close(self._pipe.fd)


def _stop_here() -> NoReturn:
    raise StopRun


def _flush_output() -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):
        pass  # the user has closed or replaced them


def _end_with_the_main_process() -> NoReturn:
    """End this process and all that it has started: the process to which they report is gone."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
