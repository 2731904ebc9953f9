"""All errors of lightning_lite, in one tree.

    LightningLiteError
    ├── ComponentError                a flow, a work or a structure is defined or used wrongly
    │   ├── ComponentDefinitionError  its class is wrong (also a TypeError)
    │   ├── ComponentValueError       an argument of a ready-made component is invalid (also a ValueError)
    │   ├── StateError                an attribute can't be state (also an AttributeError)
    │   │   └── StateConflict         an attribute has another value than the change starts from
    │   ├── ScheduleError             a schedule is invalid, or its name is in use (also a ValueError)
    │   ├── LayoutError               a layout is invalid (also a TypeError and a ValueError)
    │   ├── DetachedError             only a component of a running app can do this (also a RuntimeError)
    │   └── HandlerError              a handler wants to wait for a call (also a RuntimeError)
    ├── ArgumentError                 a call has arguments that its work can't get (also a TypeError)
    ├── PauseSwallowed                the flow caught the exception that ends a pass
    ├── AppFailed                     `flow.fail()` ended the app
    ├── AppIdle                       nothing could change any more, and the flow had not ended the app
    ├── NestedAppError                `app.run()` inside a work's process (also a RuntimeError)
    ├── WorkFailed                    a call of a work failed without an exception of the user
    │   ├── WorkCrashed               its process died
    │   ├── WorkLost                  its process was lost with its node or the network
    │   ├── WorkTimeout               it exceeded its time limit
    │   ├── WorkStartFailed           its process could not start
    │   ├── InvalidValue              its answer or its state can't be sent
    │   └── RestartLimitReached       its processes died too often
    ├── ScriptFailed                  the script of a work has ended with an exit code
    ├── RankFailed                    a process of a node has failed
    ├── SettingError                  a setting has a value that it can't have (also a ValueError)
    ├── WorkingDirectoryGone          the working directory was removed (also a FileNotFoundError)
    ├── RunnerError                   the system refuses a resource of a runner (also an OSError)
    ├── RootRefused                   another user could have written into a root (also a PermissionError)
    ├── PoisonCall                    the flow died repeatedly after the same call
    ├── SecretError                   a secret has no text here
    ├── NothingToResume               there is no such run, or it has no journal
    ├── JournalError                  the journal of a run can't be created, read or written
    │   ├── JournalCorrupt            it is damaged, or the file is not a journal
    │   ├── JournalVersion            another version of this package wrote it
    │   ├── JournalMismatch           it belongs to another app
    │   ├── JournalInUse              another process holds its lock
    │   └── JournalGone               it was removed while the app was running
    ├── ValueFileError                the file of a big value can't be written, or can't be used
    ├── DatabaseError                 a `Database` refuses a request, or its file has other tables
    ├── CommandError                  a command from another terminal can't be executed
    ├── AppEnding                     the app takes no requests any more (also a RuntimeError)
    ├── NoAnswer                      the flow has not answered a request in time (also a TimeoutError)
    └── DriveError                    errors of drives, see `storage.errors`

    Unwind (BaseException)            control flow, so `except Exception` does not catch it
    ├── Pause                         ends one pass of the flow
    ├── StopApp                       `flow.stop()`
    ├── FailApp                       `flow.fail()`
    └── StopRun                       ends the `run` of a work that is stopped

All of them can be pickled, with their attributes.
"""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Self


def _rebuild(cls: type[LightningLiteError], message: str, fields: dict[str, Any]) -> Any:
    return cls(message, **fields)


class LightningLiteError(Exception):
    """Base of all errors of this package.

    Args:
        message: The failure, the value that caused it, and what to do.
        **fields: The parts of the message, as attributes, so that a caller need not parse the text.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        for name, value in fields.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.fields), vars(self)  # with the notes


class ComponentError(LightningLiteError):
    """A flow, a work or a structure is defined or used wrongly."""


class ComponentDefinitionError(ComponentError, TypeError):
    """The class of a component is wrong: no `run`, a coroutine as `run`, no call of `super().__init__()`."""


class ComponentValueError(ComponentError, ValueError):
    """An argument of a ready-made component has an invalid value; the message names it."""


class StateError(ComponentError, AttributeError):
    """An attribute can't be part of the state: not declared in `__init__`, or not plain JSON data."""


class StateConflict(StateError):
    """A change of the state from outside starts from a value that the attribute does not have any more."""


class ScheduleError(ComponentError, ValueError):
    """A schedule or an iterator of a flow is invalid, or has the same name as another one."""


class LayoutError(ComponentError, TypeError, ValueError):
    """`configure_layout` of a flow or a work returned no layout, or changed state; the message shows it."""


class DetachedError(ComponentError, RuntimeError):
    """Only a component of a running app can do this, and the component is in none."""


class HandlerError(ComponentError, RuntimeError):
    """A handler, which runs between passes of the flow, wants to wait for a call; only a pass can."""


class ArgumentError(LightningLiteError, TypeError):
    """An argument of `work.run(...)` can't be sent or has no stable key, or `run` does not take it.

    Raised in the line of the call, before anything is sent.
    """


class SecretError(LightningLiteError):
    """A `Secret` is made of something else than a text, or it has no text in this process."""


class PauseSwallowed(LightningLiteError):
    """The flow caught the `Pause` that ends a pass; the message names the line."""


class AppFailed(LightningLiteError):
    """The flow ended the app with `self.fail(message)`."""


class AppIdle(LightningLiteError):
    """Nothing could change any more in an app, and no terminal was attached to end it; see `on_idle`.

    Attributes:
        failed: The calls that failed, each with its work and its message.
    """

    failed: list[str]


class NestedAppError(LightningLiteError, RuntimeError):
    """`app.run()` was called in the process of a work, or for an app that is running already."""


class WorkFailed(LightningLiteError):
    """A call of a work failed, and ended the app because of `raise_exception=True`.

    Attributes:
        work: Name of the work.
        reason: One of `user_exception`, `crashed`, `lost`, `timeout`, `start_failed`, `invalid_value`.
    """

    work: str
    reason: str


class WorkCrashed(WorkFailed):
    """The process of the work died: by a signal, with an exit code, or out of memory."""


class WorkLost(WorkFailed):
    """The process of the work was lost with its node, or with the connection to it."""


class WorkTimeout(WorkFailed):
    """The call took longer than the `timeout` of the work and was ended."""


class WorkStartFailed(WorkFailed):
    """The process of the work could not start, or could not load the work."""


class InvalidValue(WorkFailed):
    """The answer of the call or the state of the work can't be sent to the flow."""


class RestartLimitReached(WorkFailed):
    """The processes of a work died more often than `max_restarts` in `restart_period` allows."""


class ScriptFailed(LightningLiteError):
    """The script of a work has ended with an exit code other than 0, or lacks an output, or its code is bad.

    Attributes:
        script: Path of the script, or of the archive with its code.
        exit_code: Its exit code, negative for a signal; only if it has ended with one.
    """

    script: str
    exit_code: int


class RankFailed(LightningLiteError):
    """A child process of a node of a `MultiNode` has failed.

    Attributes:
        local_rank: Its number in its node.
        exit_code: Its exit code, negative for a signal.
    """

    local_rank: int
    exit_code: int


class SettingError(LightningLiteError, ValueError):
    """A setting has a value that it can't have, or the file of settings can't be read; it says where.

    A setting is an argument, an environment variable, or a line of `pyproject.toml`.
    """


class WorkingDirectoryGone(LightningLiteError, FileNotFoundError):
    """The working directory of the process was removed, and a relative path refers to it."""

    def __new__(cls, message: str, **fields: Any) -> Self:
        """Create the error without passing the arguments to OSError, which would interpret them."""
        return super().__new__(cls)


class RunnerError(LightningLiteError, OSError):
    """The system refuses a resource of the runner: processes, open files, memory, write permission."""

    def __new__(cls, message: str, **fields: Any) -> Self:
        """Create the error without passing the arguments to OSError, which would interpret them."""
        return super().__new__(cls)


class RootRefused(LightningLiteError, PermissionError):
    """A folder of the root belongs to another user, or others may write to it; nothing in it was read.

    Attributes:
        path: Absolute path of the folder.
    """

    path: str

    def __new__(cls, message: str = "", **fields: Any) -> Self:
        """Create the error without passing the arguments to OSError, which would interpret them."""
        return super().__new__(cls)


class PoisonCall(LightningLiteError):
    """The flow died several times soon after it had sent the same call; the call is not sent again."""


class NothingToResume(LightningLiteError):
    """There is no run with that id, or it has no journal."""


class JournalError(LightningLiteError):
    """The journal of a run can't be created, read or written.

    Attributes:
        file: Absolute path of the file.
    """

    file: str


class JournalCorrupt(JournalError):
    """The journal is damaged, or the file is not a journal.

    Attributes:
        sequence: Number of the damaged record, from 1; `None` for the file as a whole.
        what: A description of the damage.
    """

    sequence: int | None
    what: str


class JournalVersion(JournalError):
    """Another version of this package wrote the journal, in another format.

    Attributes:
        found: Version of the format of the journal; the same as `known` if only its events are unknown.
        known: Version of the format that this package writes.
    """

    found: int
    known: int


class JournalMismatch(JournalError):
    """The journal belongs to another app.

    Attributes:
        found: Identity of the app that wrote it.
        asked: Identity of the app that wants to resume it.
    """

    found: str
    asked: str


class JournalInUse(JournalError):
    """Another process holds the lock of the journal.

    Attributes:
        pid: Its process id on `host`; `None` if unknown.
        host: Name of its computer; `None` if unknown.
        since: When it took the lock, in ISO 8601; `None` if unknown.
    """

    pid: int | None
    host: str | None
    since: str | None


class JournalGone(JournalError):
    """The journal was removed while the app was running: its calls can't be recorded any more."""


class ValueFileError(LightningLiteError):
    """The file of a big value can't be written, or it is missing, damaged or of another owner.

    Attributes:
        file: Absolute path of the file, or of its folder if it could not be written.
        what: A description of the error.
    """

    file: str
    what: str


class CommandError(LightningLiteError):
    """A command from another terminal can't be executed; the message says why.

    Attributes:
        is_late: Whether the app has not answered in time.
        is_too_long: Whether the command has more bytes than an app takes; nothing was sent.
    """

    is_late: bool = False
    is_too_long: bool = False


class AppEnding(LightningLiteError, RuntimeError):
    """The app is ending, or has ended, so that its flow answers no requests any more."""


class NoAnswer(LightningLiteError, TimeoutError):
    """The flow has not answered a request in time.

    Attributes:
        has_begun: Whether the flow has begun with it, so that its changes may still come.
    """


class DatabaseError(LightningLiteError):
    """A `Database` refuses a request or does not answer, or its file has other tables than its models.

    Attributes:
        status: Status of the answer in HTTP; 0 if there was none.
    """

    status: int = 0


class LightningFlowWarning(UserWarning):
    """The flow costs more than it need: its passes take long, it calls without end, or its state is big."""


class Unwind(BaseException):
    """Control flow that `except Exception` must not catch."""


class Pause(Unwind):
    """Ends the running pass of the flow, because a call that it needs has not ended yet."""


class StopApp(Unwind):
    """`flow.stop(message)`: the app ends with success."""


class FailApp(Unwind):
    """`flow.fail(message)`: the app ends as failed."""


class StopRun(Unwind):
    """Ends the `run` of a work that is stopped; `on_exit` runs after it."""
