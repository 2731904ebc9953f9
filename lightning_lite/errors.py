"""Every error that lightning_lite raises, one small tree.

    LightningLiteError
    ├── ComponentError                a flow, a work or a structure is built or used in a wrong way
    │   ├── ComponentDefinitionError  … its class is (also a TypeError)
    │   ├── StateError                … an attribute is (also an AttributeError)
    │   ├── ScheduleError             a schedule is invalid, or used twice in a flow (also a ValueError)
    │   └── DetachedError             something is asked that only a running app can do (also a RuntimeError)
    ├── ArgumentError                 an argument of a call can't travel or has no key (also a TypeError)
    ├── PauseSwallowed                the flow caught what pauses it
    ├── AppFailed                     `flow.fail()` ended the app
    ├── NestedAppError                `app.run()` inside a work's process (also a RuntimeError)
    ├── WorkFailed                    a call of a work failed without an exception of its own
    │   ├── WorkCrashed               … its process died
    │   ├── WorkTimeout               … it ran into its time limit
    │   ├── WorkStartFailed           … its process could not start
    │   └── InvalidValue              … its answer or its state can't travel
    ├── RestartLimitReached           a work's processes died too often
    ├── RunnerError                   the machine refuses what a runner needs (also an OSError)
    ├── PoisonCall                    the flow died of the same call again and again
    ├── NothingToResume               there is no such run, or it kept no journal
    ├── JournalError                  the journal of a run can't be made, read or written
    │   ├── JournalCorrupt            … it is damaged, or something else than a journal
    │   ├── JournalVersion            … another version of this package wrote it
    │   ├── JournalMismatch           … it belongs to another app
    │   └── JournalInUse              … another process holds it
    ├── CommandError                  a command from another terminal can't be carried out
    └── DriveError                    everything about files in drives, see `storage.errors`

    Unwind (BaseException)            control flow, so that `except Exception` does not swallow it
    ├── Pause                         cuts one pass of the flow
    ├── StopApp                       `flow.stop()`
    ├── FailApp                       `flow.fail()`
    └── StopRun                       cuts the `run` of a work that is being stopped

All of them survive pickling with their attributes.
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
        message: What happened, to which thing, and what to do about it.
        **fields: The parts of the message, kept as attributes, so that no caller has to parse the text.
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
        return _rebuild, (type(self), self.message, self.fields), vars(self)  # notes travel, too


class ComponentError(LightningLiteError):
    """A flow, a work or a structure is built or used in a way that can't work."""


class ComponentDefinitionError(ComponentError, TypeError):
    """The class of a component is wrong: no `run`, a coroutine as `run`, a forgotten `super().__init__()`."""


class StateError(ComponentError, AttributeError):
    """An attribute can't be part of the state: not declared in `__init__`, or not plain JSON data."""


class ScheduleError(ComponentError, ValueError):
    """A schedule or an iterator of a flow is invalid, or has the same name as another one."""


class DetachedError(ComponentError, RuntimeError):
    """Something was asked of a component that only a running app can do, or can't do any more."""


class ArgumentError(LightningLiteError, TypeError):
    """An argument of `work.run(...)` can't travel to the work, or has no key that is stable.

    Raised in the line of the caller, before anything was sent.
    """


class PauseSwallowed(LightningLiteError):
    """The flow caught the `Pause` that cuts a pass; the message names the line."""


class AppFailed(LightningLiteError):
    """The flow ended the app by `self.fail(message)`."""


class NestedAppError(LightningLiteError, RuntimeError):
    """`app.run()` was called inside the process of a work, or in an app that is running already."""


class WorkFailed(LightningLiteError):
    """A call of a work failed, and `raise_exception=True` let that end the app.

    Attributes:
        work: Name of the work.
        reason: One of `user_exception`, `crashed`, `timeout`, `start_failed`, `invalid_value`.
    """

    work: str
    reason: str


class WorkCrashed(WorkFailed):
    """The process of the work died: a signal, an exit code, no memory."""


class WorkTimeout(WorkFailed):
    """The call took longer than the work's `timeout` allows, and its process was killed."""


class WorkStartFailed(WorkFailed):
    """The process of the work could not start, or could not load the work."""


class InvalidValue(WorkFailed):
    """The answer of the call or the state of the work can't travel back to the flow."""


class RestartLimitReached(WorkFailed):
    """The processes of a work died more often than `max_restarts` in `restart_period` allows."""


class RunnerError(LightningLiteError, OSError):
    """The machine refuses what the runner needs: processes, open files, memory, a folder to write to."""

    def __new__(cls, message: str, **fields: Any) -> Self:
        """Keep the arguments as they are: OSError would rewrite them."""
        return super().__new__(cls)


class PoisonCall(LightningLiteError):
    """Each time that a call was sent, the flow died soon after; it is not sent again unasked."""


class NothingToResume(LightningLiteError):
    """There is no run of that name, or it kept no journal."""


class JournalError(LightningLiteError):
    """The journal of a run can't be made, read or written.

    Attributes:
        file: Absolute path of the file.
    """

    file: str


class JournalCorrupt(JournalError):
    """The journal is damaged, or something else than a journal.

    Attributes:
        sequence: Number of the record that is wrong, from 1; `None` if it is the file as a whole.
        what: What is wrong.
    """

    sequence: int | None
    what: str


class JournalVersion(JournalError):
    """The journal was written by a version of this package that keeps it in another form.

    Attributes:
        found: Version of the form of the journal.
        known: Version that this package writes.
    """

    found: int
    known: int


class JournalMismatch(JournalError):
    """The journal belongs to another app.

    Attributes:
        found: Identity of the app that wrote it.
        asked: Identity of the app that wants to go on with it.
    """

    found: str
    asked: str


class JournalInUse(JournalError):
    """Another process holds the journal.

    Attributes:
        pid: Its process id on `host`; `None` if it did not say.
        host: Name of its computer; `None` if it did not say.
        since: When it began, in ISO 8601; `None` if it did not say.
    """

    pid: int | None
    host: str | None
    since: str | None


class CommandError(LightningLiteError):
    """A command from another terminal can't be carried out; the message says why."""


class Unwind(BaseException):
    """Control flow that must not be swallowed by `except Exception`."""


class Pause(Unwind):
    """Cuts the running pass of the flow: a call that it needs has not ended yet."""


class StopApp(Unwind):
    """`flow.stop(message)`: the app ends well."""


class FailApp(Unwind):
    """`flow.fail(message)`: the app ends as failed."""


class StopRun(Unwind):
    """Cuts the `run` of a work that is being stopped; `on_exit` runs after it."""
