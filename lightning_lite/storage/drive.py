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
from lightning_lite.storage.user_folder import PathLike, UserFolder, admit_named, existing_folder
from lightning_lite.values.protocol import Transferable

#: What tells the plain data of a drive from that of other things.
_TYPE = "__drive__"

#: What the flow is not allowed to do, by verb.
_REFUSED = {
    "put": "put files into",
    "list": "list files from",
    "get": "get files from",
    "delete": "delete files from",
    "open": "open files of",
}


class DriveHandle(Transferable):
    """The part of a `Drive` that travels; see there for the arguments."""

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
        text = getattr(id, "located", None) or id  # components make a `Path` of the text of an id
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
        """Absolute folder that holds all drives; fixed from the first use on."""
        if self._root is None:
            self._root = self._resolved_root()
        return self._root

    def call_key(self) -> tuple[str, str]:
        """Return what makes two drives the same for a call: the id and the root."""
        return self.id, self._resolved_root()

    def before_run(self, work: str) -> Self:
        """Resolve the root for the work that gets the drive, whatever directory it changes to."""
        self._root = self._resolved_root()
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments that make the same drive as plain data, for `from_dict`."""
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
        """Return the drive of which `to_dict` has made `content`."""
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

    def _admit(self, verb: str) -> Caller:
        """Return who asks, if it is somebody who may touch files."""
        caller = current_caller()
        if caller.kind == "flow":
            raise DriveContextError(
                f"The flow isn't allowed to {_REFUSED[verb]} a Drive. Hand the drive to a work, and do it in "
                f"the run of that."
            )
        if caller.kind == "init":
            raise DriveContextError(
                f"The __init__ of a component isn't allowed to {_REFUSED[verb]} a Drive. Do it in the run of "
                f"a work."
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

    What is put belongs to the component that runs the code: the work in whose `run` it is, else
    `main`. A flow only hands drives on.

    Args:
        id: `lit://` and a name; drives of the same name under the same root are the same drive. A `Path`
            that a component has made of such a text will do as well.
        allow_duplicates: Whether a path may be put that another component has put.
        component_name: Act as this component.
        root_folder: Folder that relative paths of the user's files refer to; the working directory at
            each call if not given.
        root_dir: Folder that holds all drives; if not given, that of the app, else `LIGHTNING_LITE_ROOT`,
            else `./.lightning_lite` at first use.
        durable: Whether what was put survives the loss of power; if not given, as the app or
            `LIGHTNING_LITE_DURABLE` says.
        portable_names: Whether names that Windows or macOS would not keep are refused.

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
        """Store a file or a whole folder: all of it or nothing, whatever happens meanwhile.

        Args:
            path: A file or folder in `root_folder`; a folder replaces the one that was put before. Or
                several, or a pattern like `*.ckpt`: each is put for itself.
            to: Its path in the drive, if not the same; of several, the folder for them.
            follow_symlinks: Whether symbolic links may lead out of `root_folder`.
            move: Whether the source may be used up, so that nothing has to be copied where that is possible.

        Raises:
            DriveDuplicate: Another component has put this path, and `allow_duplicates` is false.
            DriveError: See `lightning_lite.storage.errors` for all others.
        """
        caller = self._admit("put")
        with translate_errors("put", path, "what was there is kept"):
            folder = self._folder()
            paths, several = select(given(path), folder, folder.names, folder.exists)
            if not paths:
                raise DriveSourceMissing(
                    f"The provided path {shown(path)} doesn't exists; no file has such a name."
                )
            target = None if to is None else path_parts(to, portable=self.portable_names)
            for parts in paths:
                name = admit_named(_target(parts, target, several), path if to is None else to)
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
        """Return what is in a folder of the drive: sorted, each path once.

        Args:
            path: A folder, or a file, which is then the only path; nothing if it is not there.
            component_name: Only what this component has put.
            recursive: The files at any depth, instead of files and folders at one.
        """
        self._admit("list")
        owner = _component(component_name)
        with translate_errors("list", path):
            return self._store().names(self._folder().parts(path), owner=owner, recursive=recursive)

    def entries(
        self, path: PathLike = ".", component_name: str | None = None, *, recursive: bool = False
    ) -> Entries:
        """Return the same as `list`, with sizes, times and owners; a path once for each of its owners."""
        self._admit("list")
        owner = _component(component_name)
        with translate_errors("list", path):
            return self._store().entries(self._folder().parts(path), owner=owner, recursive=recursive)

    def exists(self, path: PathLike, component_name: str | None = None) -> bool:
        """Return whether somebody, or the component of that name, has put this path."""
        self._admit("list")
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
        """Bring one version of a file or a folder into `root_folder`.

        Args:
            path: Path in the drive. Or several, or a pattern like `*.ckpt`: each is one version for itself.
            to: Where to, in `root_folder`, if not to the same path; of several, the folder for them.
            component_name: Whose; needed if several components have put this path.
            timeout: Seconds to wait for what is not there yet.
            overwrite: Whether a folder that is there may be replaced; a file always is.

        Returns:
            The local path, absolute; a list of them for several paths or a pattern.

        Raises:
            DriveNotFound: It is not in the drive.
            DriveTimeout: It did not come in time.
            DriveAmbiguous: Several components have put it.
            DriveExists: A folder is there locally, and `overwrite` is false.
        """
        self._admit("get")
        owner = _component(component_name)
        if timeout is not None:
            _admit_seconds(timeout)
        with translate_errors("get", path, "what was there is kept"):
            folder = self._folder()
            target = None if to is None else folder.named(to)
            paths, several = self._awaited(given(path), owner, timeout)
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
        caller = self._admit("delete")
        with translate_errors("delete", path, "nothing was removed"):
            parts = self._folder().named(path)
            self._store().delete(self._owner(caller), parts, durable=self._is_durable(caller))

    def open(
        self, path: PathLike, mode: str = "r", component_name: str | None = None, encoding: str | None = None
    ) -> IO[Any]:
        """Open a file where it is in the drive, for reading; it stays that version while it is open.

        Args:
            path: Path in the drive.
            mode: `r` for text or `rb` for bytes.
            component_name: Whose; needed if several components have put this path.
            encoding: Of the text; UTF-8 if not given.
        """
        self._admit("open")
        if mode not in ("r", "rt", "rb"):
            raise DrivePathError(
                f"open mode {shown(mode)}: a drive's files are only read; use 'r' or 'rb', or put."
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
        """Return the paths in the drive that the user means."""
        selection = select(
            path,
            self._folder(),
            lambda parts: self._store().names(parts, owner=owner, recursive=False),
            lambda parts: self._has(parts, owner),
        )
        for parts in selection.paths:
            admit_named(parts, path)
        return selection

    def _awaited(self, path: Given, owner: str | None, timeout: float | None) -> Selection:
        """Return the same, as soon as all of it is there."""
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


def _admit_seconds(timeout: object) -> None:
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or timeout != timeout:  # NaN is not
        raise DriveTypeError(f"timeout must be a number of seconds, got {shown(timeout)}.")


def _component(name: str | None) -> str | None:
    return None if name is None else component_folder(name)
