"""`Drive`: a named folder that works, scripts and notebooks share."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from functools import partial
from numbers import Real
from typing import IO, Any, Self, overload

from lightning_lite.context import Caller, current_caller
from lightning_lite.settings import resolve_durable, resolve_root
from lightning_lite.storage.base import Entry, Parts, Store
from lightning_lite.storage.errors import (
    DriveContextError,
    DriveNotFound,
    DrivePathError,
    DriveSourceMissing,
    DriveTimeout,
    DriveTypeError,
    shown,
    translate_errors,
)
from lightning_lite.storage.names import component_folder, drive_name, path_parts, path_text
from lightning_lite.storage.notebook import table
from lightning_lite.storage.progress import progress
from lightning_lite.storage.selection import Given, Selection, given, select
from lightning_lite.storage.stores import open_store
from lightning_lite.storage.user_folder import PathLike, UserFolder, existing_folder, require_name
from lightning_lite.values.protocol import Transferable

#: Value of "type" in the plain data of a drive.
_TYPE = "__drive__"

#: What the flow is not allowed to do, by method.
_REFUSED = {
    "put": "put files into",
    "list": "list files from",
    "get": "get files from",
    "delete": "delete files from",
    "open": "open files of",
}


class DriveHandle(Transferable):
    """The part of a `Drive` that is sent to other processes; see there for the arguments."""

    def __init__(
        self,
        id: str | os.PathLike[str],
        allow_duplicates: bool = False,
        component_name: str | None = None,
        root_folder: PathLike | None = None,
        *,
        root_dir: PathLike | None = None,
        durable: bool | None = None,
        portable_names: bool = True,
    ) -> None:
        text = getattr(id, "located", None) or id  # a component converts the text of an id to a `Path`
        self._name = drive_name(text)
        self.id = str(text)
        self.allow_duplicates = allow_duplicates
        self.component_name = None if component_name is None else component_folder(component_name)
        self.root_folder = None if root_folder is None else existing_folder(root_folder)
        self.durable = durable
        self.portable_names = portable_names
        self._root = None if root_dir is None else os.path.abspath(path_text(root_dir))
        self._opened: Store | None = None

    @property
    def root_dir(self) -> str:
        """Absolute folder that holds all drives; it does not change after the first use."""
        if self._root is None:
            self._root = self._resolved_root()
        return self._root

    def call_key(self) -> tuple[str, str]:
        """Return the id and the root; drives in which they are equal are equal as arguments of a call."""
        return self.id, self._resolved_root()

    def before_run(self, work: str) -> Self:
        """Fix the root, so that it does not depend on the working directory of the work."""
        self._root = self._resolved_root()
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments of this drive as plain data for `from_dict`."""
        return {
            "type": _TYPE,
            "id": self.id,
            "allow_duplicates": self.allow_duplicates,
            "component_name": self.component_name,
            "root_folder": self.root_folder,
            "root_dir": self._root,
            "durable": self.durable,
            "portable_names": self.portable_names,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Return the drive that `content`, made by `to_dict`, describes."""
        return cls(**{name: value for name, value in content.items() if name != "type"})

    def __repr__(self) -> str:
        options = [
            f"{name}={value!r}"
            for name, value, usual in (
                ("allow_duplicates", self.allow_duplicates, False),
                ("component_name", self.component_name, None),
                ("root_folder", self.root_folder, None),
                ("root_dir", self._root, None),
                ("durable", self.durable, None),
                ("portable_names", self.portable_names, True),
            )
            if value != usual
        ]
        return f"{type(self).__name__}({', '.join((repr(self.id), *options))})"

    def __str__(self) -> str:
        return self.id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DriveHandle):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self.id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _identity(self) -> dict[str, Any]:
        return {**self.__getstate__(), "_root": self._resolved_root()}

    def _resolved_root(self) -> str:
        return self._root or resolve_root(current_caller().root)

    def _check(self, verb: str) -> Caller:
        """Return the caller, if it may use files."""
        caller = current_caller()
        if caller.kind == "flow":
            raise DriveContextError(
                f"The flow isn't allowed to {_REFUSED[verb]} a Drive. Pass the drive to a work, and do it in "
                f"its run method."
            )
        if caller.kind == "init":
            raise DriveContextError(
                f"The __init__ of a component isn't allowed to {_REFUSED[verb]} a Drive. Do it in the run "
                f"method of a work."
            )
        return caller

    def _owner(self, caller: Caller) -> str:
        return self.component_name or component_folder(caller.component)

    def _is_durable(self, caller: Caller) -> bool:
        if self.durable is not None:
            return self.durable
        return caller.durable or resolve_durable(None)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = open_store(self.root_dir, self._name)
        return self._opened

    def _folder(self) -> UserFolder:
        return UserFolder(self.root_folder or os.getcwd(), portable=self.portable_names)


Names = list[str]
Entries = list[Entry]


class Drive(DriveHandle):
    """A named folder that components share: put files and folders into it, list, get and delete them.

    A file or folder belongs to the component that puts it: the work whose `run` makes the call, or `main`
    outside of works. A flow can only pass drives to works.

    Args:
        id: `lit://` and a name; drives with the same name and root are the same drive. A `Path` that a
            component has made of such a text is accepted, too.
        allow_duplicates: Whether a path may be put that another component has put.
        component_name: Act as this component.
        root_folder: Folder to which relative paths of the user's files refer; by default the working
            directory of each call.
        root_dir: Folder that holds all drives; by default that of the app, else `LIGHTNING_LITE_ROOT`,
            else `./.lightning_lite` at first use.
        durable: Whether a put survives a loss of power; by default the setting of the app, or
            `LIGHTNING_LITE_DURABLE`.
        portable_names: Whether names are refused that Windows or macOS cannot store.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> drive = Drive("lit://models", root_folder=folder.name, root_dir=os.path.join(folder.name, "root"))
        >>> with open(os.path.join(folder.name, "best.txt"), "w") as file:
        ...     _ = file.write("0.93")
        >>> drive.put("best.txt")
        >>> drive.list()
        ['best.txt']
        >>> with open(drive.get("best.txt", to="copy.txt")) as file:
        ...     file.read()
        '0.93'
        >>> drive.delete("best.txt")
        >>> drive.list()
        []
        >>> folder.cleanup()
    """

    def put(
        self,
        path: PathLike | Iterable[PathLike],
        to: PathLike | None = None,
        *,
        follow_symlinks: bool = False,
        move: bool = False,
    ) -> None:
        """Store a file or a whole folder: completely or, after an error or a crash, not at all.

        Args:
            path: A file or folder in `root_folder`; a folder replaces the whole folder of an earlier put.
                Or a list of paths, or a pattern like `*.ckpt`: each match is put separately.
            to: Its path in the drive, if it is another one; for several, the folder that gets them.
            follow_symlinks: Whether symbolic links may lead out of `root_folder`.
            move: Whether the source may be removed, so that it need not be copied where that is possible.

        Raises:
            DriveDuplicate: Another component has put this path, and `allow_duplicates` is false.
            DriveError: See `lightning_lite.storage.errors` for all others.
        """
        caller = self._check("put")
        with translate_errors("put", path, "what was there is kept"):
            folder = self._folder()
            paths, several = select(given(path), folder, folder.names, folder.exists)
            if not paths:
                raise DriveSourceMissing(
                    f"The provided path {shown(path)} doesn't exist; no file has such a name."
                )
            target = None if to is None else path_parts(to, portable=self.portable_names)
            for parts in paths:
                name = require_name(_target(parts, target, several), path if to is None else to)
                source = folder.source(parts, name, follow_symlinks=follow_symlinks)
                with progress(f"put {'/'.join(name)}", partial(folder.size, parts)) as on_progress:
                    self._store().put(
                        self._owner(caller),
                        name,
                        source,
                        exclusive=not self.allow_duplicates,
                        move=move,
                        durable=self._is_durable(caller),
                        on_progress=on_progress,
                    )

    def list(
        self, path: PathLike = ".", component_name: str | None = None, *, recursive: bool = False
    ) -> Names:
        """Return the paths in a folder of the drive, sorted and unique.

        Args:
            path: A folder; a file is its own only path; the list is empty if nothing is there.
            component_name: Only what this component has put.
            recursive: Return the files at any depth, instead of the files and folders directly in it.
        """
        self._check("list")
        owner = _component(component_name)
        with translate_errors("list", path):
            return self._store().names(self._folder().parts(path), owner=owner, recursive=recursive)

    def entries(
        self, path: PathLike = ".", component_name: str | None = None, *, recursive: bool = False
    ) -> Entries:
        """Return the same as `list`, with sizes, times and owners; a path has one entry for each owner."""
        self._check("list")
        owner = _component(component_name)
        with translate_errors("list", path):
            return self._store().entries(self._folder().parts(path), owner=owner, recursive=recursive)

    def exists(self, path: PathLike, component_name: str | None = None) -> bool:
        """Return whether any component, or the given one, has put this path."""
        self._check("list")
        owner = _component(component_name)
        with translate_errors("exists", path):
            return self._has(self._folder().named(path), owner)

    @overload
    def get(
        self,
        path: PathLike,
        to: PathLike | None = None,
        component_name: str | None = None,
        timeout: float | None = None,
        overwrite: bool = False,
    ) -> Any: ...

    @overload
    def get(
        self,
        path: Iterable[PathLike],
        to: PathLike | None = None,
        component_name: str | None = None,
        timeout: float | None = None,
        overwrite: bool = False,
    ) -> Names: ...

    def get(
        self,
        path: PathLike | Iterable[PathLike],
        to: PathLike | None = None,
        component_name: str | None = None,
        timeout: float | None = None,
        overwrite: bool = False,
    ) -> Any:
        """Copy one version of a file or a folder into `root_folder`.

        Args:
            path: Path in the drive. Or a list of paths, or a pattern like `*.ckpt`: each match is got
                separately.
            to: Path in `root_folder`, if it is another one; for several, the folder that gets them.
            component_name: Owner of the path; needed if several components have put it.
            timeout: Seconds to wait for a path that does not exist yet.
            overwrite: Whether an existing folder may be replaced; an existing file always is.

        Returns:
            The absolute local path; a list of paths for several or for a pattern.

        Raises:
            DriveNotFound: The path is not in the drive.
            DriveTimeout: The path did not appear in time.
            DriveAmbiguous: Several components have put it.
            DriveExists: A folder exists at the local path, and `overwrite` is false.
        """
        self._check("get")
        owner = _component(component_name)
        if timeout is not None:
            _check_seconds(timeout)
        with translate_errors("get", path, "what was there is kept"):
            folder = self._folder()
            target = None if to is None else folder.named(to)
            paths, several = self._wait_for(given(path), owner, timeout)
            found = []
            for parts in paths:
                destination = folder.destination(_target(parts, target, several), overwrite=overwrite)
                with progress(f"get {'/'.join(parts)}", partial(self._size, parts, owner)) as on_progress:
                    self._store().get(parts, destination, owner=owner, on_progress=on_progress)
                found.append(destination.path)
        return found if several else found[0]

    def delete(self, path: PathLike) -> None:
        """Remove a file or a folder that this component has put.

        Raises:
            DriveNotOwner: Another component has put it.
            DriveNotFound: It is not in the drive.
        """
        caller = self._check("delete")
        with translate_errors("delete", path, "nothing was removed"):
            parts = self._folder().named(path)
            self._store().delete(self._owner(caller), parts, durable=self._is_durable(caller))

    def open(
        self, path: PathLike, mode: str = "r", component_name: str | None = None, encoding: str | None = None
    ) -> IO[Any]:
        """Open a file in the drive for reading; the reader sees the same version until it closes the file.

        Args:
            path: Path in the drive.
            mode: `r` for text or `rb` for bytes.
            component_name: Owner of the path; needed if several components have put it.
            encoding: Encoding of the text; UTF-8 by default.
        """
        self._check("open")
        if mode not in ("r", "rt", "rb"):
            raise DrivePathError(
                f"open mode {shown(mode)}: files in a drive can only be read; use 'r' or 'rb', or put."
            )
        owner = _component(component_name)
        with translate_errors("open", path):
            binary = self._store().open(self._folder().named(path), owner=owner)
        return binary if mode == "rb" else io.TextIOWrapper(binary, encoding=encoding or "utf-8")

    def _repr_html_(self) -> str:
        may_look = current_caller().kind in ("script", "work")
        return table(repr(self), self.entries() if may_look else [])

    def _has(self, parts: Parts, owner: str | None) -> bool:
        owners = self._store().owners(parts)
        return bool(owners) if owner is None else owner in owners

    def _size(self, parts: Parts, owner: str | None) -> int:
        return sum(entry.size for entry in self._store().entries(parts, owner=owner, recursive=True))

    def _select(self, path: Given, owner: str | None) -> Selection:
        """Return the paths in the drive that the user's path or pattern stands for."""
        selection = select(
            path,
            self._folder(),
            lambda parts: self._store().names(parts, owner=owner, recursive=False),
            lambda parts: self._has(parts, owner),
        )
        for parts in selection.paths:
            require_name(parts, path)
        return selection

    def _wait_for(self, path: Given, owner: str | None, timeout: float | None) -> Selection:
        """Return the same as `_select`, once all these paths exist."""
        selection = self._select(path, owner)

        def is_there() -> bool:
            nonlocal selection
            selection = self._select(path, owner)
            return bool(selection.paths) and all(self._has(parts, owner) for parts in selection.paths)

        if timeout is not None and not self._store().wait(is_there, timeout):
            raise DriveTimeout(
                f"The following {shown(path)} wasn't found in {timeout:g} seconds; does the component that "
                f"puts it run?"
            )
        if not selection.paths:
            raise DriveNotFound(f"We didn't find any match for the associated {shown(path)}; see list().")
        return selection


def _target(parts: Parts, to: Parts | None, several: bool) -> Parts:
    if to is None:
        return parts
    return to + parts if several else to


def _check_seconds(timeout: object) -> None:
    if (
        isinstance(timeout, bool) or not isinstance(timeout, Real) or timeout != timeout
    ):  # NaN is not equal to itself
        raise DriveTypeError(f"timeout must be a number of seconds, got {shown(timeout)}.")


def _component(name: str | None) -> str | None:
    return None if name is None else component_folder(name)
