"""`AppState`: the state of a running app, read and changed from any process of its user.

    a script, a page of Streamlit, a work ── reads the journal of the run
                                          ── sends changes over its command channel

It needs no server: the files of the run and its socket belong to the same user.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, partial
from threading import Event, Lock
from time import monotonic
from typing import Any

from lightning_lite.app.running_apps import change_here
from lightning_lite.app.state_changes import StateChange
from lightning_lite.context import current_caller
from lightning_lite.errors import CommandError, NoAnswer, StateConflict, StateError
from lightning_lite.monitor.follower import RunFollower
from lightning_lite.monitor.state_snapshot import read_state
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import drives_of, read_runs, run_path
from lightning_lite.runs.safe_unpickle import StandIn
from lightning_lite.settings import resolve_root
from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveError
from lightning_lite.tree.node import STATE_PARTS
from lightning_lite.values.json_form import are_equal, json_form

#: The variables of a program that an app has started: the folder of its run, and the name of the flow.
RUN_VARIABLE = "LIGHTNING_APP_RUN_FOLDER"
FLOW_VARIABLE = "LIGHTNING_FLOW_NAME"

#: Seconds to wait for the app; it answers within 30, unless it is suspended.
_ANSWER_LIMIT = 40.0

#: Seconds for which a long journal is read in one piece.
_READ_LIMIT = 10.0

#: Seconds between two looks at the journal of an app that is starting.
_INTERVAL = 0.01

#: The attribute that is the whole part of the state, as nested dicts: pages of Lightning Apps show it.
_WHOLE = "_state"

_NOT_RUNNING = "Failed to connect and fetch the app state. Is the app running? {}"

#: Maximum number of runs that are read at the same time; the oldest give way.
_MAX_READERS = 8

#: The arguments of a drive that are in its pickle under their names.
_DRIVE_FIELDS = (
    "id",
    "allow_duplicates",
    "component_name",
    "root_folder",
    "durable",
    "portable_names",
    "root_mode",
)


class _Reader:
    """Reads the journal of one run; any thread may use it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._follower = RunFollower(folder)
        self._known: tuple[int, int] | None = None
        self._state: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the state as it is now; nothing may change the returned value.

        Raises:
            AttributeError: The journal can't be read, or has no state.
        """
        follower = self._follower
        due = monotonic() + _READ_LIMIT
        follower.follow(_READ_LIMIT)
        # The app may be starting, or the journal be long.
        while "root" not in follower.history.states or not follower.is_complete:
            if follower.trouble or monotonic() > due:
                break
            Event().wait(_INTERVAL)
            follower.follow(_READ_LIMIT)
        with follower.lock:
            if follower.trouble or "root" not in follower.history.states:
                raise AttributeError(_NOT_RUNNING.format(f"{follower.trouble or 'It has no state'}."))
            known = follower.generation, follower.revision
            if known != self._known:
                self._state, self._known = read_state(follower.history, self._drive_of), known
            return self._state

    @cached_property
    def drives(self) -> str:
        """Where the drives of the app are: an absolute folder, or the url of an object store."""
        return drives_of(self.folder)

    def _drive_of(self, value: StandIn) -> Drive | None:
        """Return the drive that an object in the journal is; `None` if it is none, or can't be used here.

        It has its root, because two drives without one ask the settings when they are compared.
        """
        state = value.stand_in_state
        if (value.stand_in_module, value.stand_in_name) != (Drive.__module__, Drive.__name__):
            return None
        try:
            content = {name: state[name] for name in _DRIVE_FIELDS}
            return Drive.from_dict({**content, "root_dir": state["_root"] or self.drives})
        except (DriveError, LookupError, TypeError):  # its `root_folder` may be missing
            return None


_readers: dict[str, _Reader] = {}
_lock = Lock()


def _reader_of(folder: str) -> _Reader:
    with _lock:
        reader = _readers.pop(folder, None) or _Reader(folder)
        _readers[folder] = reader  # the last one that was used is last
        if len(_readers) > _MAX_READERS:
            del _readers[next(iter(_readers))]
        return reader


#: Where the code that runs now notes what it reads.
_reads: ContextVar[StateReads | None] = ContextVar("reads", default=None)


class StateReads:
    """The parts of `AppState` objects that code has read, so that a page knows when it shows old values.

    Example:
        >>> reads = StateReads()
        >>> with reads.recording():
        ...     pass
        >>> reads.have_changed()
        False
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, ...], tuple[_Reader, dict[str | None, list[Any]]]] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note what the code in a block reads, in this thread."""
        token = _reads.set(self)
        try:
            yield
        finally:
            _reads.reset(token)

    def note(self, state: AppState, name: str | None, part: dict[str, Any]) -> None:
        """Note a read; of several reads of one attribute the first one counts.

        Args:
            state: The object that was read.
            name: The attribute, or `None` for the names of the components below.
            part: The part of the state that `state` shows.
        """
        key = (state._reader.folder, *state._my_affiliation)
        self._seen.setdefault(key, (state._reader, {}))[1].setdefault(name, _looked_up(part, name))

    def have_changed(self) -> bool:
        """Return whether a value has changed; `False` if the state can't be read any more."""
        for (_, *path), (reader, names) in list(self._seen.items()):
            try:
                part = _part_at(reader.read(), tuple(path))
            except AttributeError:
                return False
            except LookupError:  # the component was removed
                return True
            if any(not are_equal(_looked_up(part, name), value) for name, value in list(names.items())):
                return True
        return False


def _looked_up(part: dict[str, Any], name: str | None) -> list[Any]:
    """Return the result of a read of a part of the state in a comparable form."""
    if name is None:
        return _keys(part)
    if name == _WHOLE:
        return ["all", part]
    variables = part.get("vars", {})
    if name in variables:
        return ["a value", variables[name]]
    return ["a component" if name in _keys(part) else "nothing"]


class AppState:
    """The state of a running app, as attributes; each access gives the value as of now.

    An assignment changes the attribute of the flow or work, as an event of the run: it returns when the
    journal has it. In the flow itself it takes effect after the pass.

    Values are copies, as JSON has them: assign the whole list to change an item of it. A `Drive` is a `Drive`
    of the component, and another object, such as a `Path`, is a text. A change from another process has the
    old and the new value, which may have 2 MiB together.

    `_state` is the whole part of the state that the object shows, as nested dicts with `vars`, `flows`,
    `works` and `structures`; a drive in it is the dict that `Drive.from_dict` takes.

    `keys`, `items` and `values` are methods, as in a dict of the components below. An attribute of the
    flow or work with such a name is read as `state["items"]`.

    Args:
        my_affiliation: The keys below the root of the component that it shows, `("train",)`. By default: in
            a work, that work; in a frontend, its flow; else the root.
        run: Id or name of the run. By default: in a flow, a work or a frontend, that of the app; else the
            newest run that is still running.
        root_dir: Folder that holds everything; else as for an app.

    Raises:
        AttributeError: No app runs there.
        ValueError: There is no component at `my_affiliation`.
        NothingToResume: There is no such run.
        RootRefused: Another user could have written into the root.

    Example:
        >>> from lightning_lite import LightningApp, LightningFlow
        >>> class Root(LightningFlow):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.rate = 0.5
        ...     def run(self):
        ...         if self.rate != 0.5:
        ...             self.stop()
        >>> from lightning_lite.testing import poll_until
        >>> app = LightningApp(Root())
        >>> running = app.start()
        >>> state = AppState(run=poll_until(lambda: running.run_id, 60))
        >>> state.rate = state.rate / 2
        >>> running.wait()
        >>> app.root.rate
        0.25
    """

    _reader: _Reader
    _my_affiliation: tuple[str, ...]
    # The values that were read, of all components of one object.
    _seen: dict[tuple[tuple[str, ...], str], Any]

    def __init__(
        self,
        my_affiliation: tuple[str, ...] | None = None,
        *,
        run: str | None = None,
        root_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        folder, path = _find(run, root_dir)
        _set_up(self, _reader_of(folder), path if my_affiliation is None else tuple(my_affiliation), {})
        try:
            _part(self)
        except LookupError:
            name = ".".join(("root", *self._my_affiliation))
            raise ValueError(
                f"Failed to extract the state under the affiliation {self._my_affiliation}: there is no "
                f"{name}."
            ) from None

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(name)  # a protocol of Python, which is no attribute of a component
        return _get(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        part = part_of(self)
        for kind in STATE_PARTS:
            if name in part.get(kind, {}):
                raise AttributeError(
                    f"You shouldn't set the {kind} directly onto the state. Use its attributes instead."
                )
        variables = part.get("vars", {})
        if name not in variables:
            raise AttributeError(_missing(self, name, part))
        old = json_form(self._seen.pop((self._my_affiliation, name), variables[name]), repr)
        new = json_form(value, _refuse)
        _change(self._reader.folder, StateChange(_name(self), name, old, new))

    def __getitem__(self, key: object) -> Any:
        return _get(self, str(key))

    def __iter__(self) -> Iterator[str]:
        return iter(_names_below(self))

    def __len__(self) -> int:
        return len(_names_below(self))

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: object) -> bool:
        return key in _names_below(self)

    def __dir__(self) -> list[str]:
        part = part_of(self)
        return sorted([*part.get("vars", {}), *_keys(part)])

    def __repr__(self) -> str:
        return f"<AppState of {_name(self)}>"

    def keys(self) -> list[str]:
        """Return the keys of the components below this one."""
        return _names_below(self)

    def items(self) -> list[tuple[str, AppState]]:
        """Return the components below this one, by key."""
        return [(key, _get(self, key)) for key in self.keys()]

    def values(self) -> list[AppState]:
        """Return the components below this one."""
        return [_get(self, key) for key in self.keys()]


# Functions, and not methods: each name of a method hides an attribute of that name.


def _set_up(state: AppState, reader: _Reader, path: tuple[str, ...], seen: dict[Any, Any]) -> None:
    # Past `__setattr__`, which changes the app.
    state.__dict__.update(_reader=reader, _my_affiliation=path, _seen=seen)


def _name(state: AppState) -> str:
    return ".".join(("root", *state._my_affiliation))


def _part(state: AppState) -> dict[str, Any]:
    """Return the part of the state that an object shows.

    Raises:
        LookupError: The component is not there.
    """
    return _part_at(state._reader.read(), state._my_affiliation)


def _part_at(part: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    for key in path:
        kinds = [kind for kind in STATE_PARTS if key in part.get(kind, {})]
        if not kinds:
            raise LookupError(key)
        part = part[kinds[0]][key]
    return part


def part_of(state: AppState) -> dict[str, Any]:
    """Return the current state of a component, as nested dicts that nothing may change.

    Raises:
        AttributeError: The component was removed, or the app can't be read.
    """
    try:
        return _part(state)
    except LookupError:
        raise AttributeError(f"There is no {_name(state)} any more.") from None


def run_of(state: AppState) -> str:
    """Return the absolute path of the folder of the run that an object shows."""
    return state._reader.folder


def _keys(part: dict[str, Any]) -> list[str]:
    return [key for kind in STATE_PARTS for key in part.get(kind, {})]


def _names_below(state: AppState) -> list[str]:
    """Return the keys of the components below a component, as a read."""
    part = part_of(state)
    if (reads := _reads.get()) is not None:
        reads.note(state, None, part)
    return _keys(part)


def _get(state: AppState, name: str) -> Any:
    part = part_of(state)
    if (reads := _reads.get()) is not None:
        reads.note(state, name, part)
    variables = part.get("vars", {})
    if name in variables:
        state._seen[state._my_affiliation, name] = variables[name]
        return json_form(variables[name], partial(_copy_of_drive, state))
    if name in _keys(part):
        below = AppState.__new__(AppState)
        _set_up(below, state._reader, (*state._my_affiliation, name), state._seen)
        return below
    if name == _WHOLE:
        return json_form(part, Drive.to_dict)
    raise AttributeError(_missing(state, name, part))


def _copy_of_drive(state: AppState, drive: Drive) -> Drive | str:
    """Return a copy of a drive for the code that reads the state, or a text if it can't be used here."""
    content = drive.to_dict()
    content["component_name"] = content["component_name"] or _name(state)
    try:
        return Drive.from_dict(content)
    except DriveError:  # its `root_folder` has been removed since the journal was read
        return repr(drive)


def _missing(state: AppState, name: str, part: dict[str, Any]) -> str:
    return (
        f"Failed to access '{name}' through `AppState`. The state of {_name(state)} provides: "
        f"variables {sorted(part.get('vars', {}))}, components {_keys(part)}."
    )


def _refuse(value: Any) -> Any:
    raise StateError(
        "AppState takes values that JSON has: numbers, texts, lists and dicts. Found "
        f"{type(value).__qualname__}."
    )


def _change(folder: str, change: StateChange) -> None:
    """Let the app make a change.

    Raises:
        StateConflict: The attribute has another value by now.
        StateError: The app refuses the change, or the old and the new value are too long for a command.
        AttributeError: The app does not run any more.
        NoAnswer: The flow has not made it in time.
    """
    if change_here(folder, [change]):
        return
    try:
        answer = ask(folder, "delta", _ANSWER_LIMIT, changes=[change._asdict()])
    except CommandError as error:
        if error.is_late:
            raise NoAnswer(f"{error}.", has_begun=True) from error
        if error.is_too_long:
            raise StateError(
                f"{change.component}.{change.attribute} can't be changed from outside, because its old and "
                f"its new value are sent together: {error}. Keep big values in a file of a drive."
            ) from error
        raise AttributeError(_NOT_RUNNING.format(f"{error}.")) from error
    match answer["status"]:
        case 200:
            return
        case 409:
            raise StateConflict(answer["error"])
        case 422:
            raise StateError(answer["error"])
        case 504:
            raise NoAnswer(answer["error"], has_begun=True)
        case _:
            raise AttributeError(_NOT_RUNNING.format(answer["error"]))


def _find(run: str | None, root_dir: str | os.PathLike[str] | None) -> tuple[str, tuple[str, ...]]:
    """Return the folder of the run, and the keys below the root of the component that is meant."""
    caller = current_caller()
    if run is None and root_dir is None:
        if caller.kind in ("flow", "work") and caller.values is not None:
            keys = caller.component.split(".")[1:] if caller.kind == "work" else ()
            return os.path.dirname(caller.values), tuple(keys)
        folder = os.environ.get(RUN_VARIABLE)
        if folder:
            return folder, tuple(os.environ.get(FLOW_VARIABLE, "root").split(".")[1:])
    root = resolve_root(root_dir)
    if run is not None:
        return run_path(root, run), ()
    running = [each for each in read_runs(root) if each.state == "running"]
    if not running:
        raise AttributeError(_NOT_RUNNING.format(f"No app is running in {root!r}."))
    return run_path(root, running[-1].id), ()
