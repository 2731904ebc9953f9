"""`Drive`: a named folder that works, scripts and notebooks share.

This module decides whether the caller may do an operation, and to which files of the user a path or a pattern
refers. The store decides where the files of a drive are, and puts them there.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from numbers import Real
from stat import S_ISDIR
from typing import IO, Any, Literal, NamedTuple, Self, get_args, overload

from lightning_lite.context import Caller, current_caller
from lightning_lite.root_access import ANY
from lightning_lite.settings import (
    ROOT_MODES,
    absolute_place,
    resolve_drives,
    resolve_durable,
    resolve_root_mode,
)
from lightning_lite.storage.base import Destination, Entry, Parts, Source, Store
from lightning_lite.storage.destinations import Target, destinations
from lightning_lite.storage.errors import (
    DriveContextError,
    DriveDuplicate,
    DriveNotADirectory,
    DriveNotFound,
    DrivePathError,
    DriveSourceMissing,
    DriveTimeout,
    DriveTypeError,
    shown,
    translate_errors,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.symlinks import broken_link, relative_to
from lightning_lite.storage.names import (
    SURELY_SHORT,
    PathLike,
    check_length,
    check_names,
    component_folder,
    drive_name,
    expand,
    has_magic,
    path_parts,
    path_text,
    refuse_two_forms,
)
from lightning_lite.storage.notebook import table
from lightning_lite.storage.progress import progress
from lightning_lite.storage.stores import open_store
from lightning_lite.store_url import is_url
from lightning_lite.trusted_roots import TRUSTED, is_trusted
from lightning_lite.values.transferable import Transferable
from lightning_lite.working_directory import absolute, working_directory

#: The argument of the user: a path, or several.
Given = PathLike | tuple[PathLike, ...]

#: How a put treats the symbolic links in a folder.
Symlinks = Literal["copy", "keep"]

#: Value of "type" in the plain data of a drive.
_TYPE = "__drive__"

#: The actions that are refused in a flow, by method.
_REFUSED = {
    "put": "put files into",
    "list": "list files from",
    "get": "get files from",
    "delete": "delete files from",
    "open": "open files of",
}


#: The same as `component_folder`, which is asked at each put and delete, with the names that it has accepted.
_accepted_component = cache(component_folder)


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
        root_mode: str | None = None,
    ) -> None:
        text = getattr(id, "located", None) or id  # a component converts the text of an id to a `Path`
        self._name = drive_name(text)
        self.id = str(text)
        self.allow_duplicates = allow_duplicates
        self.component_name = None if component_name is None else component_folder(component_name)
        self.root_folder = None if root_folder is None else _existing_folder(root_folder)
        self.durable = durable
        self.portable_names = portable_names
        if root_mode is not None and root_mode not in ROOT_MODES:
            raise DriveTypeError(
                f"root_mode must be 'private', 'group', 'trusted' or None, got {shown(root_mode)}."
            )
        self.root_mode = root_mode
        self._is_root_named = root_dir is not None
        self._root = None if root_dir is None else absolute_place(path_text(root_dir))
        self._opened: _Opened | None = None

    @property
    def root_dir(self) -> str:
        """Absolute folder or url that holds all drives; it does not change after the first use."""
        if self._root is None:
            self._root = self._resolved_root()
        return self._root

    def call_key(self) -> tuple[str, str]:
        """Return the id and the root; drives in which they are equal are equal as arguments of a call."""
        return self.id, self._resolved_root()

    def before_run(self, work: str) -> Self:
        """Fix the root, so that it does not depend on the working directory of the work."""
        self._is_root_named = self._is_root_named or current_caller().root is not None
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
            "root_mode": self.root_mode,
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
                ("root_mode", self.root_mode, None),
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
        return {**self.__getstate__(), "_root": self._resolved_root(), "_is_root_named": None}

    def _resolved_root(self) -> str:
        return self._root or resolve_drives(current_caller().drives_root)

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
        return self.component_name or _accepted_component(caller.component)

    def _is_durable(self, caller: Caller) -> bool:
        if self.durable is not None:
            return self.durable
        return self._used().durable if caller.root is None else caller.durable

    def _store(self) -> Store:
        return self._used().store

    def _used(self) -> _Opened:
        """Return the store and the setting, which are fixed at the first use in a process."""
        if self._opened is None:
            is_named = self._is_root_named or current_caller().root is not None
            place = self.root_dir
            if is_url(place) and self.root_mode is not None:
                raise DriveTypeError(
                    f"root_mode={self.root_mode!r} is about folders, and {self.id} is at {place}, which all "
                    "its writers share; leave root_mode out."
                )
            # The mode of the app, which was declared in the code, has priority over the variable, too.
            asked = self.root_mode or (TRUSTED if is_trusted(place) else None)
            mode = ANY if is_url(place) else resolve_root_mode(asked, is_named=is_named)
            self._opened = _Opened(open_store(place, self._name, mode), resolve_durable(None))
        return self._opened

    def _folder(self) -> UserFolder:
        return UserFolder(self.root_folder, portable=self.portable_names)


class _Opened(NamedTuple):
    """A drive that this process uses.

    Attributes:
        store: Keeps its files.
        durable: The value of `LIGHTNING_LITE_DURABLE`, for code outside of any app.
    """

    store: Store
    durable: bool


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
        root_dir: Folder that holds all drives, or the url of an object store, `s3://bucket/prefix`; by
            default that of the app, else `LIGHTNING_LITE_DRIVES`, else `LIGHTNING_LITE_ROOT`, else
            `./.lightning_lite` at first use.
        durable: Whether a put survives a loss of power; by default the setting of the app, or
            `LIGHTNING_LITE_DURABLE` at first use.
        portable_names: Whether names are refused that Windows or macOS cannot store.
        root_mode: `group`: users of a group share the drives of the root; a new root is made so.
            `private`: a group root is refused. `trusted`: each user that can write to the root may run code
            as you, so that owners and modes in it are not checked. By default `LIGHTNING_LITE_ROOT_MODE`,
            else the mode of the folder decides.

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
        symlinks: Symlinks = "copy",
    ) -> None:
        """Store a file or a whole folder: completely or, after an error or a crash, not at all.

        Args:
            path: A file or folder in `root_folder`; a folder replaces the whole folder of an earlier put.
                Or a list of paths, or a pattern like `*.ckpt`: each match is put separately.
            to: Its path in the drive, if it is another one. A name that ends in `/`, or for files a folder
                that is in the drive, gets them under their last names; else it is the new name. Several
                paths and patterns need such a folder.
            follow_symlinks: Whether symbolic links may lead out of `root_folder`.
            move: Whether the source may be removed, so that it need not be copied where that is possible. A
                source that can't be removed, or that a process has open for writing, is copied and stays,
                with a `DriveWarning`.
            symlinks: `copy` stores the content to which the symbolic links in a folder lead. `keep` stores
                relative links that stay inside the folder as links, and the others as with `copy`.

        Raises:
            DriveDuplicate: Another component has put this path, and `allow_duplicates` is false.
            DriveNotADirectory: Several paths are given, and `to` is not a folder.
            DrivePathError: Two of several paths would get the same name.
            DriveError: See `lightning_lite.storage.errors` for all others.
        """
        caller = self._check("put")
        with translate_errors("put", path, "the old content is kept"):
            if symlinks not in get_args(Symlinks):
                raise DriveTypeError(f"symlinks must be 'copy' or 'keep', got {shown(symlinks)}.")
            folder, given = self._folder(), _given(path)
            if given == ():
                raise DriveSourceMissing(_EMPTY_LIST)
            paths, several = folder.select_local(given)
            if not paths:
                raise DriveSourceMissing(
                    f"The provided path {shown(path)} doesn't exist; no file has such a name."
                )
            store, owner, durable = self._store(), self._owner(caller), self._is_durable(caller)
            names, target = paths, None
            if to is not None:
                target = Target(path_parts(to, portable=self.portable_names), path_text(to))
                is_folder = partial(store.is_folder, owner=None)
                names = destinations(paths, target, several, is_folder, folder.is_folder)
            elif () in paths and path != "":
                raise DrivePathError(
                    f"{_shown_top(path)} is the whole folder {shown(folder.path)}, which has no name that it "
                    "could get in the drive; put it alone, with a name such as to='all'."
                )
            others = {folder.local(parts) for parts in paths} if several else ()
            for parts, target_parts in zip(paths, names, strict=True):
                name = require_name(target_parts, path)
                source = folder.source(
                    parts, name, follow_symlinks=follow_symlinks, keep_links=symlinks == "keep", others=others
                )
                with (
                    _folder_advice(name, target),
                    progress(f"put {'/'.join(name)}", partial(folder.size, parts)) as on_progress,
                ):
                    store.put(
                        owner,
                        name,
                        source,
                        exclusive=not self.allow_duplicates,
                        move=move,
                        durable=durable,
                        on_progress=on_progress,
                    )

    def list(
        self,
        path: PathLike | Iterable[PathLike] = ".",
        component_name: str | None = None,
        *,
        recursive: bool = False,
    ) -> Names:
        """Return the paths in a folder of the drive, sorted and unique.

        Args:
            path: A folder; a file is its own only path; the list is empty if nothing is there. Or a list of
                paths, or a pattern like `*.ckpt`: each match is listed, and the results are one list.
            component_name: Only files of this component.
            recursive: Return the files at any depth, instead of the files and folders directly in it.
        """
        self._check("list")
        with translate_errors("list", path):
            owner = _component(component_name)
            paths = self._matches(_given(path), self._folder(), owner).paths
            if len(paths) == 1:
                return self._store().names(paths[0], owner=owner, recursive=recursive)
            found = (self._store().names(parts, owner=owner, recursive=recursive) for parts in paths)
            return sorted({name for names in found for name in names})

    def entries(
        self,
        path: PathLike | Iterable[PathLike] = ".",
        component_name: str | None = None,
        *,
        recursive: bool = False,
    ) -> Entries:
        """Return the same as `list`, with sizes, times and owners; a path has one entry for each owner."""
        self._check("list")
        with translate_errors("list", path):
            owner = _component(component_name)
            paths = self._matches(_given(path), self._folder(), owner).paths
            if len(paths) == 1:
                return self._store().entries(paths[0], owner=owner, recursive=recursive)
            found = (self._store().entries(parts, owner=owner, recursive=recursive) for parts in paths)
            return sorted({entry for entries in found for entry in entries})

    def exists(self, path: PathLike, component_name: str | None = None) -> bool:
        """Return whether any component, or the given one, has put this path, or one that fits a pattern."""
        self._check("list")
        with translate_errors("exists", path):
            owner = _component(component_name)
            text = path_text(path)
            if has_magic(text):
                return bool(self._select(text, self._folder(), owner).paths)
            return self._has(self._folder().named(path), owner)

    @overload
    def get(
        self,
        path: PathLike,
        to: PathLike | None = None,
        component_name: str | None = None,
        timeout: float | None = None,
        overwrite: bool = False,
        *,
        follow_symlinks: bool = False,
    ) -> Any: ...

    @overload
    def get(
        self,
        path: Iterable[PathLike],
        to: PathLike | None = None,
        component_name: str | None = None,
        timeout: float | None = None,
        overwrite: bool = False,
        *,
        follow_symlinks: bool = False,
    ) -> Names: ...

    def get(
        self,
        path: PathLike | Iterable[PathLike],
        to: PathLike | None = None,
        component_name: str | None = None,
        timeout: float | None = None,
        overwrite: bool = False,
        *,
        follow_symlinks: bool = False,
    ) -> Any:
        """Copy one version of a file or a folder into `root_folder`.

        Args:
            path: Path in the drive. Or a list of paths, or a pattern like `*.ckpt`: each match is got
                separately.
            to: Path in `root_folder`, if it is another one. A name that ends in `/`, or for files a folder
                that is there, gets them under their last names; else it is the new name. Several paths and
                patterns need such a folder.
            component_name: Owner of the path; needed if several components have put it.
            timeout: Seconds to wait for a path that does not exist yet.
            overwrite: Whether an existing folder may be replaced; an existing file always is.
            follow_symlinks: Whether symbolic links on the way to the local path may lead out of
                `root_folder`.

        Returns:
            The absolute local path; a list of paths for several or for a pattern.

        Raises:
            DriveNotFound: The path is not in the drive.
            DriveTimeout: The path did not appear in time.
            DriveAmbiguous: Several components have put it.
            DriveExists: A folder exists at the local path, and `overwrite` is false.
            DriveNotADirectory: Several paths are given, and `to` is not a folder.
            DrivePathError: Two of several paths would get the same name.
        """
        self._check("get")
        with translate_errors("get", path, "the old content is kept"):
            owner = _component(component_name)
            if timeout is not None:
                _check_seconds(timeout)
            folder = self._folder()
            target = None if to is None else folder.target(to)
            paths, several = self._wait_for(_given(path), folder, owner, timeout)
            store, found = self._store(), []
            places = paths
            if target is not None:
                is_folder = partial(store.is_folder, owner=owner)
                places = destinations(paths, target, several, folder.is_folder, is_folder)
            for parts, target_parts in zip(paths, places, strict=True):
                if not target_parts:
                    raise DrivePathError(
                        f"to={shown(to)} is the whole folder {shown(folder.path)}, and a folder of the drive "
                        f"can't replace it; write to={f'{to}/'!r} to get it into that folder."
                    )
                destination = Destination(folder.path, target_parts, overwrite, follow_symlinks)
                with progress(f"get {'/'.join(parts)}", partial(self._size, parts, owner)) as on_progress:
                    store.get(parts, destination, owner=owner, on_progress=on_progress)
                found.append("/".join((folder.path, *target_parts)))
        return found if several else found[0]

    def delete(self, path: PathLike | Iterable[PathLike]) -> None:
        """Remove a file or a folder that this component has put.

        Args:
            path: Its path. Or a list of paths, or a pattern like `*.ckpt`, which selects only files of
                this component: each match is removed separately.

        Raises:
            DriveNotOwner: Another component has put it.
            DriveNotFound: It is not in the drive.
        """
        caller = self._check("delete")
        removed = 0
        with translate_errors("delete", path, "nothing was removed"):
            owner, durable = self._owner(caller), self._is_durable(caller)
            given = _given(path)
            paths = self._select(given, self._folder(), owner).paths
            if not paths:
                raise _no_match(given)
            store = self._store()
            for parts in paths:
                with translate_errors("delete", "/".join(parts), f"{removed} of {len(paths)} were removed"):
                    store.delete(owner, parts, durable=durable)
                removed += 1

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
            if has_magic(path_text(path)) and not self._has(self._folder().parts(path, magic=True), owner):
                raise DrivePathError(
                    f"open takes the path of one file, and {shown(path)} is a pattern that is the name of "
                    f"none; list() returns the paths that fit."
                )
            binary = self._store().open(
                require_name(self._folder().parts(path, magic=True), path), owner=owner
            )
        return binary if mode == "rb" else io.TextIOWrapper(binary, encoding=encoding or "utf-8")

    def _repr_html_(self) -> str:
        may_look = current_caller().kind in ("script", "work")
        return table(repr(self), self.entries() if may_look else [])

    def _has(self, parts: Parts, owner: str | None) -> bool:
        owners = self._store().owners(parts)
        return bool(owners) if owner is None else owner in owners

    def _size(self, parts: Parts, owner: str | None) -> int:
        return sum(entry.size for entry in self._store().entries(parts, owner=owner, recursive=True))

    def _select(self, path: Given, folder: UserFolder, owner: str | None) -> Selection:
        """Return the paths in the drive to which the user's path or pattern refers."""
        selection = self._matches(path, folder, owner)
        for parts in selection.paths:
            require_name(parts, path)
        return selection

    def _matches(self, path: Given, folder: UserFolder, owner: str | None) -> Selection:
        """Return the same, also for the top of the drive."""
        return folder.select(
            path,
            lambda parts: self._store().names(parts, owner=owner, recursive=False),
            lambda parts: self._has(parts, owner),
        )

    def _wait_for(
        self, path: Given, folder: UserFolder, owner: str | None, timeout: float | None
    ) -> Selection:
        """Return the same as `_select`, once all these paths exist."""
        selection = self._select(path, folder, owner)
        if path == ():
            raise _no_match(path)

        def is_there() -> bool:
            nonlocal selection
            selection = self._select(path, folder, owner)
            return bool(selection.paths) and all(self._has(parts, owner) for parts in selection.paths)

        if timeout is not None and not self._store().wait(is_there, timeout):
            raise DriveTimeout(
                f"The path {shown(path)} wasn't found in {timeout:g} s; does the component that puts it run?"
            )
        if not selection.paths:
            raise _no_match(path)
        return selection


def _given(path: object) -> Given:
    """Return the argument of the user, if it is a path or several paths."""
    if isinstance(path, (str, os.PathLike)):
        return path
    if isinstance(path, Iterable) and not isinstance(path, (bytes, bytearray)):
        return tuple(path)
    raise DriveTypeError(
        f"A name in a drive must be str or Path, or several in a list; got {type(path).__name__}."
    )


def _existing_folder(path: PathLike) -> str:
    """Return the absolute path of a folder, which must exist."""
    folder = absolute(path_text(path))
    if not os.path.isdir(folder):
        link = broken_link(folder)
        reason = (
            f": {link}; remove the link, or make its target."
            if link
            else f": {shown(folder)}; make it first."
        )
        raise DriveNotADirectory(f"The provided root_folder isn't a directory{reason}")
    return folder


@contextmanager
def _folder_advice(name: Parts, target: Target | None) -> Iterator[None]:
    """Say in a `DriveDuplicate` of a name without an extension how to put into a folder of this name."""
    try:
        yield
    except DriveDuplicate as error:
        if target is None or name != target.parts or "." in name[-1]:
            raise
        raise DriveDuplicate(
            f"{error.message} If {shown('/'.join(name))} is meant as a folder, write "
            f"to={target.text + '/'!r}.",
            **error.fields,
        ) from None


_EMPTY_LIST = "The list of paths is empty; name at least one path."


def _no_match(path: Given) -> DriveNotFound:
    if path == ():
        return DriveNotFound(_EMPTY_LIST)
    return DriveNotFound(f"We didn't find any match for the associated {shown(path)}; see list().")


def _check_seconds(timeout: object) -> None:
    # NaN is not equal to itself.
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or timeout != timeout:
        raise DriveTypeError(f"timeout must be a number of seconds, got {shown(timeout)}.")


def _component(name: str | None) -> str | None:
    return None if name is None else component_folder(name)


class Selection(NamedTuple):
    """The paths to which an argument of the user refers.

    Attributes:
        paths: The paths.
        several: Whether the argument may refer to more or fewer than one path.
    """

    paths: list[Parts]
    several: bool


class UserFolder:
    """The folder of the user to which relative paths of `put` and `get` refer.

    Args:
        path: Absolute path, or `None` for the working directory.
        portable: Whether names are refused that Windows or macOS cannot store.
    """

    def __init__(self, path: str | None, *, portable: bool) -> None:
        self._path = path
        self._portable = portable

    @property
    def path(self) -> str:
        """Absolute path; the working directory is read only when it is needed, because it may be gone."""
        if self._path is None:
            try:
                self._path = os.getcwd()
            except FileNotFoundError:
                self._path = working_directory()  # raises the error with the reason
        return self._path

    def local(self, parts: Parts) -> str:
        """Return the absolute path of something in this folder."""
        return "/".join((self.path, *parts))

    def target(self, to: PathLike) -> Target:
        """Return the argument `to` of a get."""
        return Target(self.parts(to, is_local=True), path_text(to))

    def parts(self, path: PathLike, *, magic: bool = False, is_local: bool = False) -> Parts:
        """Return the parts of a path, which may be absolute if it is inside this folder.

        Args:
            path: Path given by the user.
            magic: Whether it may be a pattern.
            is_local: Whether it is the path of a file in this folder, for the error; else in the drive.
        """
        text = path_text(path)
        if text.startswith("/"):
            text = self._relative(text)
        if is_local and ".." in text.split("/"):
            raise DrivePathError(
                f"'..' is not allowed in {shown(path)}; a local path can't leave the folder "
                f"{shown(self.path)}. Name another folder with Drive(..., root_folder=...)."
            )
        return path_parts(text, portable=self._portable and not (magic and has_magic(text)))

    def select_local(self, path: Given) -> Selection:
        """Return the same as `select`, for the files of this folder."""
        return self.select(path, self.names, self.exists, is_local=True)

    def select(
        self,
        path: Given,
        names: Callable[[Parts], list[str]],
        exists: Callable[[Parts], bool],
        *,
        is_local: bool = False,
    ) -> Selection:
        """Return the paths to which an argument refers; a path that is not a pattern need not exist.

        Args:
            path: Argument of the user. A pattern that exists as a path is that path.
            names: Returns the paths in a folder.
            exists: Returns whether a path exists.
            is_local: Whether it refers to files in this folder, for the error; else in the drive.
        """
        if isinstance(path, tuple):
            chosen = [self.select(one, names, exists, is_local=is_local).paths for one in path]
            return Selection(list(dict.fromkeys(parts for paths in chosen for parts in paths)), several=True)
        parts = self.parts(path, magic=True, is_local=is_local)
        if not has_magic(path_text(path)) or exists(parts):
            return Selection([parts], several=False)
        return Selection(expand(parts, names, exists), several=True)

    def named(self, path: PathLike) -> Parts:
        """Return the parts of a path, which may not be the folder itself."""
        return require_name(self.parts(path), path)

    def source(
        self, parts: Parts, name: Parts, *, follow_symlinks: bool, keep_links: bool, others: Collection[str]
    ) -> Source:
        """Return the source of a put.

        Args:
            parts: Its path in this folder.
            name: Path that it gets in the drive.
            follow_symlinks: Whether symbolic links may lead out of this folder.
            keep_links: Whether links that stay inside the source are stored as links.
            others: Absolute paths that are put as well.
        """
        top = "/".join(name)

        def check(names: list[str], folder: str) -> None:
            check_names(names, folder, portable=self._portable)
            if self._portable:
                refuse_two_forms(names, folder)
            longest = max(map(len, names), default=0)
            if len(top) + len(folder) + longest + 1 > SURELY_SHORT:
                for inner in names:
                    check_length("/".join(filter(None, (top, folder, inner))))

        return Source(
            self.local(parts), self.path, follow_symlinks, check, self._portable, keep_links, others
        )

    def names(self, parts: Parts) -> list[str]:
        """Return the paths in a folder of this folder; the list is empty if it does not exist."""
        prefix = "".join(f"{part}/" for part in parts)
        try:
            return [prefix + name for name in syscalls.listdir(f"{self.path}/{prefix}")]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def exists(self, parts: Parts) -> bool:
        """Return whether something exists at this path."""
        return syscalls.stat_if_exists(self.local(parts)) is not None

    def is_folder(self, parts: Parts) -> bool:
        """Return whether a folder, or a symbolic link to one, exists at this path."""
        return os.path.isdir(self.local(parts))

    def size(self, parts: Parts) -> int:
        """Return the number of bytes in a file, or in all files of a folder."""
        path = self.local(parts)
        found = syscalls.stat_if_exists(path)
        if found is None or not S_ISDIR(found.st_mode):
            return found.st_size if found else 0
        with syscalls.scandir(path) as entries:
            return sum(self.size((*parts, entry.name)) for entry in entries)

    def _relative(self, path: str) -> str:
        inner = relative_to(path, self.path)
        if inner is not None:
            return inner
        raise DrivePathError(
            f"{shown(path)} is an absolute path outside of {shown(self.path)}; names in a drive "
            f"are relative, or pass Drive(..., root_folder=...)."
        )


def require_name(parts: Parts, path: object) -> Parts:
    """Return `parts`, to which the user's `path` refers, unless they are the top of the drive."""
    if not parts:
        if path == "":
            raise DrivePathError("The name '' is empty; name a file or a folder in the drive.")
        raise DrivePathError(f"{_shown_top(path)} is the whole drive; name a file or a folder in it.")
    return parts


def _shown_top(path: object) -> str:
    """Return the text for a path of the user without parts, which may be one of several."""
    return f"The path {shown(path)}" if isinstance(path, (str, os.PathLike)) else f"A path in {shown(path)}"
