"""`Path`: a `pathlib.Path` that knows its work, so that other works can get its file.

A work assigns it to an attribute and writes the file; the flow hands it on; the next work reads. On one
machine that file is at the same place for all, so it is never copied over: the store keeps what was there
when a run of its work ended, and brings it back if it is gone.
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
from lightning_lite.settings import resolve_root
from lightning_lite.storage import stat_cache
from lightning_lite.storage.artifacts import Artifacts, absolute_parts, destination, ignore_progress, is_there
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
from lightning_lite.storage.names import PROTOCOL, path_parts
from lightning_lite.storage.user_folder import PathLike
from lightning_lite.values.protocol import Transferable

_FOLDER = "paths"


def is_located(segment: PathLike) -> bool:
    """Return whether a segment of a path is a `lit://` text."""
    return isinstance(segment, str) and segment.startswith(PROTOCOL)


def place_of(segment: PathLike) -> PathLike:
    """Return where in the file system a `lit://` text points to; others are what they are."""
    if not is_located(segment):
        return segment
    parts = path_parts(str(segment).removeprefix(PROTOCOL), portable=False)
    return "/".join((resolve_root(current_caller().root), _FOLDER, *parts))


def text_of(path: PurePath, guess: str | None) -> str | None:
    """Return the `lit://` text that stands for a path, `None` if there is none.

    Args:
        path: Absolute.
        guess: A root in which it may be, beside those of the app and of the environment.
    """
    for root in filter(None, (guess, current_caller().root, resolve_root(None))):
        if path.is_relative_to(f"{root}/{_FOLDER}"):
            return PROTOCOL + str(path.relative_to(f"{root}/{_FOLDER}"))
    return None


def names_drive(text: str | None) -> bool:
    """Return whether there is a drive that has this text as its id."""
    name = (text or "").removeprefix(PROTOCOL)
    folder = f"{resolve_root(current_caller().root)}/drives/{name}"
    return bool(name) and "/" not in name and syscalls.look(folder) is not None


if sys.version_info >= (3, 12):
    SegmentsPath = PosixPath
else:

    class _Derived:
        """A class method of pathlib that makes a path; on a path, `with_segments` has the last word."""

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
    """A path of a file or folder that works hand on to each other.

    It is a `pathlib.Path` in every way. The first work that has it as a public attribute is its origin;
    paths derived from it have the same one. When a run of the origin has ended well, what is there is kept
    in the store. A work that gets it, as an argument or an attribute, finds the file where its origin has
    it; if it is not there any more, what is kept comes back.

    Args:
        *segments: As for `pathlib.Path`; `lit://a/b` is the path `a/b` in the folder `paths` of the root.

    Raises:
        DriveTypeError: Segments come from different works.

    Attributes:
        origin_name: Work that it comes from, or `None`.
        consumer_name: Work that has got it last, or `None`.

    Example:
        >>> Path("checkpoints") / "best.ckpt"
        Path('checkpoints/best.ckpt')
    """

    origin_name: str | None = None
    consumer_name: str | None = None
    _folder: str | None = None  # working directory of the origin when it began to use the path
    _guess: str | None = None  # root in which a `lit://` path was put while no app had said which one

    def __new__(cls, *segments: PathLike) -> Self:
        """Make the path; up to Python 3.11 it is taken apart here, later in `__init__`."""
        return super().__new__(cls, *map(place_of, segments))

    def __init__(self, *segments: PathLike) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(*map(place_of, segments))
        if current_caller().root is None and any(map(is_located, segments)):
            self._guess = resolve_root(None)
        self._inherit(_common_parent(segments))

    def with_segments(self, *segments: PathLike) -> Self:
        """Return a path derived from this one; it has the same origin."""
        path = type(self)(*segments)
        if path.origin_name is None:
            path._inherit(self)
        return path

    def __truediv__(self, key: PathLike) -> Self:
        _common_parent((self, key))  # pathlib would make another error of it
        return super().__truediv__(key)

    def __reduce__(self) -> tuple[Any, ...]:
        journey = (self.origin_name, self.consumer_name, self._folder, self._guess)
        return _revive, (type(self), str(self), *journey)

    def to_dict(self) -> dict[str, Any]:
        """Return all that it knows as plain data, for `from_dict`."""
        return {
            "path": str(self),
            "origin_name": self.origin_name,
            "consumer_name": self.consumer_name,
            "metadata": {"folder": self._folder, "guess": self._guess},
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Return the path of which `to_dict` has made `content`.

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
        """What tells it from all others: made of its origin and its text, `None` without an origin."""
        if self.origin_name is None:
            return None
        return sha1(f"{self.origin_name}/{self}".encode(errors="surrogateescape")).hexdigest()

    @property
    def located(self) -> str | None:
        """The `lit://` text that stands for it, `None` if it does not lie in the folder `paths` of a root."""
        return text_of(pathlib.PurePath(self), self._guess)

    def exists(self, **options: bool) -> bool:
        """Return whether the file or folder is here, or where its origin has it."""
        return super().exists(**options) or (self.origin_name is not None and self.exists_remote())

    def exists_local(self) -> bool:
        """Return whether the file or folder is here."""
        return super().exists()

    def exists_remote(self) -> bool:
        """Return whether the origin has the file or folder, or the store keeps it.

        Raises:
            DriveDetached: It comes from no work.
        """
        origin = self._origin("check if the file {} exists")
        return is_there(self._home) or Artifacts(".paths").has(origin, absolute_parts(self._home))

    def get(self, overwrite: bool = False, *, to: PathLike | None = None) -> Self:
        """Bring what is kept of the file or folder here, whole, and return its path.

        Where the origin itself has it nothing is written: that is newer than what is kept.

        Args:
            overwrite: Whether what is here may be replaced.
            to: Another place for it.

        Raises:
            DriveContextError: The flow asks.
            DriveDetached: It comes from no work.
            DriveExists: Something is here, and `overwrite` is false.
            DriveNotStored: Neither its origin nor the store has it.
        """
        if current_caller().kind in ("flow", "init"):
            raise DriveContextError(
                "`Path.get()` can only be called from within the `run()` method of LightningWork."
            )
        origin = self._origin("get the file {}")
        place = os.path.abspath(self if to is None else to)
        if is_there(place):
            if not overwrite:
                raise DriveExists(
                    f"The file or folder {shown(place)} exists locally. Pass `overwrite=True` to replace it."
                )
            if place == self._home:
                return self.with_segments(place)
        self._bring(origin, place, overwrite=overwrite)
        return self.with_segments(place)

    # How it travels.

    def call_key(self) -> tuple[str | None, str]:
        """Return what makes two paths the same for a call: origin and text, not what is in the file."""
        return self.origin_name, str(self)

    def attached(self, work: str, attribute: str) -> None:
        """Hear that it became an attribute of a work; the first one is its origin."""
        if not work:
            return  # not in a tree, or not yet
        if self.origin_name is None:
            self.origin_name = work
            if current_caller().kind == "work":
                self._folder = os.getcwd()
        self.consumer_name = work

    def before_run(self, work: str) -> Self:
        """Return the path under which `work` finds the file; it is absolute if their folders differ."""
        path = self._settled(work)
        if self.origin_name is None or self.origin_name == work:
            return path
        home = path._home
        path = path.with_segments(path if os.path.abspath(path) == home else home)
        path.consumer_name = work
        if not path.exists_local() and path.exists_remote():
            path._bring(self.origin_name, home, overwrite=False)
        return path

    def after_run(self, work: str) -> None:
        """Keep what is there, if `work` is its origin."""
        if self.origin_name != work:
            return
        if is_there(self._home):
            self._keep(work)
        elif not names_drive(self.located):  # the id of a drive becomes a path, too, in an attribute
            warnings.warn(
                f"1 artifacts could not be saved because they don't exist: {shown(self._home)}. "
                f"The run of {work} has ended without making it.",
                DriveWarning,
                stacklevel=2,
            )

    @property
    def _home(self) -> str:
        """Absolute path at which the origin has it."""
        return os.path.abspath(pathlib.Path(self._folder or "", self))

    def _settled(self, work: str) -> Self:
        """Return the same path with what only the process of a work knows: the app's root, its own folder."""
        root, path = current_caller().root, self
        if root is not None and self._guess not in (None, root) and self.is_relative_to(self._guess):
            path = self.with_segments(root, self.relative_to(self._guess))
            path._guess = None
        elif self.origin_name == work and self._folder is None and not self.is_absolute():
            path = self.with_segments(self)
            path._folder = os.getcwd()
        return path

    def _keep(self, work: str) -> None:
        artifacts, parts = Artifacts(".paths"), absolute_parts(self._home)
        with translate_errors("keep", self, "what was kept before stays"):
            look = stat_cache.look(self._home)
            if not (stat_cache.is_unchanged(artifacts.root, self._home, look) and artifacts.has(work, parts)):
                artifacts.keep(work, parts, self._home)
                stat_cache.remember(artifacts.root, self._home, look)

    def _bring(self, origin: str, place: str, *, overwrite: bool) -> None:
        artifacts, parts = Artifacts(".paths"), absolute_parts(self._home)
        with translate_errors("get", self, "what was there is kept"):
            if not artifacts.has(origin, parts):
                if not is_there(self._home):
                    raise DriveNotStored(
                        f"An exception was raised while trying to transfer the contents at "
                        f"{shown(self._home)}: the work {origin} does not have it, and the requested object "
                        "is not available in the artifact store. A run of the work has to make it."
                    )
                artifacts.keep(origin, parts, self._home)
            artifacts.store.get(
                parts, destination(place, overwrite=overwrite), owner=origin, on_progress=ignore_progress
            )

    def _origin(self, purpose: str) -> str:
        if self.origin_name is None:
            raise DriveDetached(
                f"Trying to {purpose.format(shown(str(self)))}, but the path is not attached to a "
                "LightningWork. Assign it to an attribute of the work that makes the file."
            )
        return self.origin_name

    def _inherit(self, path: Path | None) -> None:
        """Take over what `path` knows of its journey."""
        if path is not None:
            self.origin_name, self.consumer_name = path.origin_name, path.consumer_name
            self._folder, self._guess = path._folder, path._guess


def _common_parent(segments: Iterable[object]) -> Path | None:
    """Return the segment that says where a path made of all of them comes from."""
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
    path._folder, path._guess = folder, guess
    return path
