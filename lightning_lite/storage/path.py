"""`Path`: a `pathlib.Path` that knows its work, so that other works can get its file.

A work assigns the path to an attribute and writes the file; the flow passes the path on; another work reads
the file. On one machine, the file has the same path for all works, so it is read in place. The store has a
copy from the end of the last run of the first work; it is restored if the file is gone. If the drives are on
an object store, a work on another machine gets the file from there.
"""

from __future__ import annotations

import os
import pathlib
import sys
import warnings
from collections.abc import Iterable, Sequence
from hashlib import sha1
from pathlib import PosixPath, PurePath
from typing import Any, Self, TypeVar

from lightning_lite.context import current_caller
from lightning_lite.errors import WorkingDirectoryGone
from lightning_lite.root_access import opened
from lightning_lite.settings import resolve_drives, resolve_root
from lightning_lite.storage import stored_stamps
from lightning_lite.storage.artifacts import Artifacts, absolute_parts, is_there
from lightning_lite.storage.destinations import Target, destinations
from lightning_lite.storage.errors import (
    DriveContextError,
    DriveDetached,
    DriveExists,
    DriveNotStored,
    DriveTypeError,
    DriveWarning,
    shown,
    translate_errors,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.names import PROTOCOL, PathLike, path_parts, path_text
from lightning_lite.storage.stores import drive_names
from lightning_lite.values.transferable import Transferable, arrived
from lightning_lite.working_directory import absolute, working_directory

_FOLDER = "paths"

#: The warnings that were shown, so that each is shown once.
_shown_warnings: dict[str | tuple[str, type[Warning], int], int] = {}


if sys.version_info >= (3, 12):
    SegmentsPath = PosixPath
else:

    class _Derived:
        """A class method of pathlib that makes a path; called on a path, it applies `with_segments`."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __get__(self, path: SegmentsPath | None, owner: type[SegmentsPath]) -> Any:
            make = getattr(super(SegmentsPath, owner), self._name)
            return make if path is None else lambda *args: path.with_segments(make(*args))

    class SegmentsPath(PosixPath):
        """Python 3.11's path, with a `with_segments` to override."""

        _from_parts = _Derived("_from_parts")
        _from_parsed_parts = _Derived("_from_parsed_parts")

        def with_segments(self, *segments: PathLike) -> Self:
            """Return a path derived from this one."""
            return type(self)(*segments)

        @property
        def parents(self) -> Sequence[Self]:
            """The folders above, the nearest one first."""
            return tuple(map(self.with_segments, super().parents))

        def _make_child(self, segments: Iterable[PathLike]) -> Self:
            return self.with_segments(self, *segments)


P = TypeVar("P", bound="Path")


class Path(Transferable, SegmentsPath):
    """A path of a file or folder that one work makes and other works use.

    It has all methods of `pathlib.Path`. The first work that has it as a public attribute is its origin;
    paths derived from it have the same origin. After each successful run of the origin, the file or folder is
    copied to the store. A work that gets the path, as an argument or an attribute, reads the file where its
    origin wrote it; if it is gone, the copy is restored.

    Args:
        *segments: As for `pathlib.Path`; `lit://a/b` is the path `a/b` in the folder `paths` of the root.

    Raises:
        DriveTypeError: Segments have different origins.

    Attributes:
        origin_name: Work that makes the file; "" if it has no name yet, and `None` without a work.
        consumer_name: Work that got the path last, in the same way.

    Example:
        >>> Path("checkpoints") / "best.ckpt"
        Path('checkpoints/best.ckpt')
    """

    origin_name: str | None = None
    consumer_name: str | None = None
    _folder: str | None = None  # working directory of the origin when it got the path
    _assumed_root: str | None = None  # root of a `lit://` path that was made outside of an app

    def __new__(cls, *segments: PathLike) -> Self:
        """Make the path; Python 3.11 parses the segments here, later versions in `__init__`."""
        return super().__new__(cls, *map(_local_path_of, segments))

    def __init__(self, *segments: PathLike) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(*map(_local_path_of, segments))
        if current_caller().root is None and any(map(_is_lit_text, segments)):
            self._assumed_root = resolve_root(None)
        self._inherit(_common_parent(segments))

    def with_segments(self, *segments: PathLike) -> Self:
        """Return a path derived from this one; it has the same origin."""
        path = type(self)(*segments)
        if not path.origin_name:
            path._inherit(self)
        return path

    def __truediv__(self, key: PathLike) -> Self:
        _common_parent((self, key))  # raises; pathlib would hide the error
        return super().__truediv__(key)

    def __rtruediv__(self, key: PathLike) -> Self:
        # Python asks the class of the right path first only if it has this method.
        return self.with_segments(key, self)

    @property
    def parents(self) -> list[Self]:
        """The folders above, the nearest one first."""
        return list(super().parents)

    def __reduce__(self) -> tuple[Any, ...]:
        origin = (self.origin_name, self.consumer_name, self._folder, self._assumed_root)
        return _revive, (type(self), str(self), *origin)

    def to_dict(self) -> dict[str, Any]:
        """Return everything it knows as plain data for `from_dict`."""
        return {
            "path": str(self),
            "origin_name": self.origin_name,
            "consumer_name": self.consumer_name,
            "metadata": {"folder": self._folder, "guess": self._assumed_root},
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Return the path that `content`, made by `to_dict`, describes.

        Example:
            >>> Path.from_dict(Path("best.ckpt").to_dict())
            Path('best.ckpt')
        """
        metadata = content.get("metadata", {})
        names = content["origin_name"], content["consumer_name"]
        return _revive(cls, content["path"], *names, metadata.get("folder"), metadata.get("guess"))

    def __json__(self) -> dict[str, Any]:
        return self.to_dict()

    @property
    def hash(self) -> str | None:
        """Identifier made of the origin and the text; `None` without an origin."""
        if not self.origin_name:
            return None
        return sha1(f"{self.origin_name}/{self}".encode(errors="surrogateescape")).hexdigest()

    @property
    def located(self) -> str | None:
        """The `lit://` text for it; `None` if it is not in the folder `paths` of a root."""
        return _text_of(pathlib.PurePath(self), self._assumed_root)

    def exists(self, **options: bool) -> bool:
        """Return whether the file or folder exists at this path, or at its origin."""
        return super().exists(**options) or bool(self.origin_name and self.exists_remote())

    def exists_local(self) -> bool:
        """Return whether the file or folder exists at this path."""
        return super().exists()

    def exists_remote(self) -> bool:
        """Return whether the file or folder exists at its origin or in the store.

        Raises:
            DriveDetached: It has no origin.
        """
        origin = self._origin("check if the file {} exists")
        return is_there(self._origin_path) or Artifacts(".paths").has(
            origin, absolute_parts(self._origin_path)
        )

    def get(self, overwrite: bool = False, *, to: PathLike | None = None) -> Self:
        """Copy the stored file or folder to this path, as a whole, and return the path.

        If this is the path of the origin, an existing file is not replaced: it is newer than the stored copy,
        unless the origin runs on another machine, and the file is an unchanged copy of an earlier version.

        Args:
            overwrite: Whether an existing file or folder may be replaced.
            to: Another path for the copy. A name that ends in `/`, or for a file a folder that is there, gets
                it under its last name.

        Raises:
            DriveContextError: The caller is a flow.
            DriveDetached: It has no origin.
            DriveExists: Something exists at the path, and `overwrite` is false.
            DriveNotStored: It exists neither at its origin nor in the store.
        """
        if current_caller().kind in ("flow", "init"):
            raise DriveContextError(
                "`Path.get()` can only be called from within the `run()` method of LightningWork."
            )
        origin = self._origin("get the file {}")
        place = absolute(self) if to is None else self._target(origin, to)
        if is_there(place):
            if not overwrite:
                raise DriveExists(
                    f"The file or folder {shown(place)} exists locally. Pass `overwrite=True` to replace it."
                )
            if place == self._origin_path and not self._is_old_copy():
                return self.with_segments(place)
        self._restore(origin, place, overwrite=overwrite)
        return self.with_segments(place)

    # Transfer between works.

    def call_key(self) -> tuple[str | None, str]:
        """Return the origin and the text; the content of the file is not part of a call's key."""
        return self.origin_name, str(self)

    def attached(self, work: str, attribute: str) -> None:
        """Record that it became an attribute of `work`; the first such work is its origin."""
        if not self.origin_name:
            self.origin_name = work
            if current_caller().kind == "work":
                self._folder = working_directory()
        self.consumer_name = work

    def renamed(self, before: str, work: str, attribute: str) -> None:
        """Record the new name of a work of which it is an attribute."""
        if self.origin_name == before:
            self.origin_name = work
        self.consumer_name = work

    def before_run(self, work: str) -> Self:
        """Return the path at which `work` finds the file, absolute if the working directories differ."""
        path = self._resolved(work)
        if not self.origin_name or self.origin_name == work:
            _make_folder(path)
            return path
        home = path._origin_path
        path = path.with_segments(path if _is_at(path, home) else home)
        path.consumer_name = work
        if not path.exists_local():
            if path.exists_remote():
                _make_folder(home)
                path._restore(self.origin_name, home, overwrite=False)
        elif path._is_old_copy():
            path._restore(self.origin_name, home, overwrite=True)
        return path

    def after_run(self, work: str) -> None:
        """Store the file, if `work` is its origin."""
        if self.origin_name != work:
            return
        if is_there(self._origin_path):
            self._keep(work)
        elif not _is_drive_id(self.located):  # an id of a drive in an attribute is a path, too
            # Not with the line of this call: it is in this package, after the `run` of the user.
            warnings.warn_explicit(
                f"1 artifact could not be saved because it doesn't exist: {shown(self._origin_path)}. "
                f"The run of {work} has ended, but did not make it.",
                DriveWarning,
                filename=work,
                lineno=0,
                registry=_shown_warnings,
            )

    @property
    def _origin_path(self) -> str:
        """Absolute path at which the origin has it."""
        return absolute(pathlib.Path(self._folder or "", self))

    def _resolved(self, work: str) -> Self:
        """Return the path with the app's root and working directory, known only in a work's process."""
        root, path = current_caller().root, self
        if (
            root is not None
            and self._assumed_root not in (None, root)
            and self.is_relative_to(self._assumed_root)
        ):
            path = self.with_segments(root, self.relative_to(self._assumed_root))
            path._assumed_root = None
        elif self.origin_name == work and self._folder is None and not self.is_absolute():
            path = self.with_segments(self)
            path._folder = working_directory()
        return path

    def _is_old_copy(self) -> bool:
        """Return whether an unchanged copy of an earlier version is at the path of the origin."""
        place, origin = self._origin_path, self._origin("get the file {}")
        with translate_errors("get", self):
            return is_there(place) and Artifacts(".paths").has_other_version(
                origin, absolute_parts(place), place
            )

    def _keep(self, work: str) -> None:
        artifacts, parts = Artifacts(".paths"), absolute_parts(self._origin_path)
        with translate_errors("keep", self, "the earlier copy stays"):
            stamp = stored_stamps.stamp_of(self._origin_path)
            if not (
                stored_stamps.is_unchanged(artifacts.root, self._origin_path, stamp)
                and artifacts.has(work, parts)
            ):
                artifacts.keep(work, parts, self._origin_path)
                stored_stamps.remember(artifacts.root, self._origin_path, stamp)

    def _target(self, origin: str, to: PathLike) -> str:
        """Return the absolute path that the argument `to` of a get means."""
        store = Artifacts(".paths").store
        (parts,) = destinations(
            [absolute_parts(self._origin_path)],
            Target(absolute_parts(absolute(to)), path_text(to)),
            several=False,
            is_folder_there=lambda parts: os.path.isdir(_joined(parts)),
            is_folder=lambda parts: store.is_folder(parts, owner=origin) or os.path.isdir(_joined(parts)),
        )
        return _joined(parts)

    def _restore(self, origin: str, place: str, *, overwrite: bool) -> None:
        artifacts, parts = Artifacts(".paths"), absolute_parts(self._origin_path)
        with translate_errors("get", self, "the old content is kept"):
            if not artifacts.has(origin, parts):
                if not is_there(self._origin_path):
                    raise DriveNotStored(
                        f"An exception was raised while trying to transfer the contents at "
                        f"{shown(self._origin_path)}: the work {origin} does not have it, and the requested "
                        "object is not available in the artifact store. A run of the work has to make it."
                    )
                artifacts.keep(origin, parts, self._origin_path)
            artifacts.restore(origin, parts, place, overwrite=overwrite)

    def _origin(self, purpose: str) -> str:
        if not self.origin_name:
            raise DriveDetached(
                f"Trying to {purpose.format(shown(str(self)))}, but the path is not attached to a "
                "LightningWork. Assign it to an attribute of the work that makes the file."
            )
        return self.origin_name

    def _inherit(self, path: Path | None) -> None:
        """Copy the origin and all other fields of `path`, except its text."""
        if path is not None:
            self.origin_name, self.consumer_name = path.origin_name, path.consumer_name
            self._folder, self._assumed_root = path._folder, path._assumed_root


def _joined(parts: Sequence[str]) -> str:
    return f"/{'/'.join(parts)}"


def _common_parent(segments: Iterable[object]) -> Path | None:
    """Return the segment from which a path made of all segments gets its origin."""
    found = {path.origin_name: path for path in segments if isinstance(path, Path) and path.origin_name}
    if len(found) > 1:
        raise DriveTypeError(
            "Tried to instantiate a Lightning Path from multiple other Paths that originate from different "
            f"LightningWork. They come from {' and '.join(sorted(map(str, found)))}."
        )
    return next(iter(found.values()), None)


def _revive(
    cls: type[P],
    text: str,
    origin: str | None,
    consumer: str | None,
    folder: str | None,
    guess: str | None,
) -> P:
    path = cls(text)
    path.origin_name, path.consumer_name = origin, consumer
    path._folder, path._assumed_root = folder, guess
    return arrived(path)


def _is_lit_text(segment: PathLike) -> bool:
    """Return whether a segment of a path is a `lit://` text."""
    return isinstance(segment, str) and segment.startswith(PROTOCOL)


def _local_path_of(segment: PathLike) -> PathLike:
    """Return the local path of a `lit://` text; other segments are returned as they are."""
    if not _is_lit_text(segment):
        return segment
    parts = path_parts(str(segment).removeprefix(PROTOCOL), portable=False)
    path = "/".join((resolve_root(current_caller().root), _FOLDER, *parts))
    _make_folder(path)
    return path


def _make_folder(path: PathLike) -> None:
    """Create the folder of `lit://` paths in the root of a work, if `path` is in it.

    A work may write its file before it has created any folder. On another machine than the app's, the
    root and the folders above it may be missing.
    """
    caller = current_caller()
    if (
        caller.kind == "work"
        and caller.root is not None
        and f"{path}".startswith(f"{caller.root}/{_FOLDER}/")
    ):
        syscalls.make_folders(os.path.dirname(caller.root))
        with opened(caller.root, (_FOLDER,), make=syscalls.mkdir):
            pass


def _text_of(path: PurePath, guess: str | None) -> str | None:
    """Return the `lit://` text for a path, or `None` if there is none.

    Args:
        path: Absolute path.
        guess: A root that may contain it, in addition to the roots of the app and of the environment.
    """
    for root in filter(None, (guess, current_caller().root, resolve_root(None))):
        if path.is_relative_to(f"{root}/{_FOLDER}"):
            return PROTOCOL + str(path.relative_to(f"{root}/{_FOLDER}"))
    return None


def _is_drive_id(text: str | None) -> bool:
    """Return whether a drive with this id exists."""
    name = (text or "").removeprefix(PROTOCOL)
    return bool(name) and name in drive_names(resolve_drives(current_caller().drives_root))


def _is_at(path: PathLike, place: str) -> bool:
    """Return whether a path, from the working directory if it is relative, is the absolute path `place`."""
    try:
        return absolute(path) == place
    except WorkingDirectoryGone:
        return False
