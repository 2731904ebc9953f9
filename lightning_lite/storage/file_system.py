"""`FileSystem`: shared files that belong to no work, for flows, too."""

from __future__ import annotations

import errno

from lightning_lite.settings import absolute_place
from lightning_lite.storage.artifacts import Artifacts, absolute_parts, destination, is_there
from lightning_lite.storage.base import Entry, Parts
from lightning_lite.storage.errors import (
    DriveExists,
    DriveNotStored,
    DriveOSError,
    DrivePathError,
    DriveSourceMissing,
    FileSystemSourceMissing,
    shown,
    translate_errors,
)
from lightning_lite.storage.fs.files import missing_source
from lightning_lite.storage.names import PathLike, path_parts, path_text
from lightning_lite.working_directory import absolute

#: Owner of all files.
_OWNER = "files"

#: End of the names of files that Lightning's platform kept for itself and did not list.
_HIDDEN = "info.txt"


class FileSystem:
    """Files of a root that belong to no component; flows, works and scripts may put, get and remove them.

    Paths in it are absolute; `/` is its top. As in a `Drive`, a file or a folder is visible completely or not
    at all. Files whose names end in `info.txt` are not listed.

    Args:
        root_dir: Folder or url that holds everything; by default as for a `Drive`.

    Example:
        >>> import os, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> files = FileSystem(root_dir=os.path.join(folder.name, "root"))
        >>> note = os.path.join(folder.name, "note.txt")
        >>> with open(note, "w") as file:
        ...     _ = file.write("remember")
        >>> files.put(note, "/notes/1.txt")
        >>> files.walk("/")
        ['notes/1.txt']
        >>> files.get("/notes/1.txt", note)
        >>> files.rm("/notes/1.txt")
        >>> files.listdir("/notes")
        []
        >>> folder.cleanup()
    """

    def __init__(self, *, root_dir: PathLike | None = None) -> None:
        self._root = None if root_dir is None else absolute_place(path_text(root_dir))

    def put(self, source_path: PathLike, destination_path: PathLike) -> None:
        """Store a file or a folder completely or not at all, and replace the one at its path.

        Args:
            source_path: Local file or folder.
            destination_path: Its path; `/` means the top, under the name of the source.

        Raises:
            FileSystemSourceMissing: There is no such file or folder. It is a `FileNotFoundError`, and a
                `FileExistsError`, which apps of Lightning catch.
        """
        source = absolute(path_text(source_path))
        parts = _parts(destination_path, "destination")
        try:
            if not is_there(source):
                raise missing_source(source)
            with translate_errors("put", source_path, "the old content is kept"):
                self._files().keep(_OWNER, parts or (absolute_parts(source)[-1],), source)
        except DriveSourceMissing as error:
            raise FileSystemSourceMissing(str(error)) from None

    def get(self, source_path: PathLike, destination_path: PathLike, overwrite: bool = True) -> None:
        """Copy one version of a file or a folder to a local path.

        Args:
            source_path: Its path.
            destination_path: Local path.
            overwrite: Whether an existing file or folder is replaced; a folder is replaced as a whole.
        """
        parts = self._known(source_path)
        place = absolute(path_text(destination_path))
        if not overwrite and is_there(place):
            raise DriveExists(
                f"The file or folder {shown(place)} exists. Pass `overwrite=True` to replace it."
            )
        with translate_errors("get", source_path, "the old content is kept"):
            self._files().store.get(parts, destination(place, overwrite=overwrite), owner=_OWNER)

    def listdir(self, path: PathLike) -> list[str]:
        """Return the sorted names in a folder."""
        return [entry.name.rpartition("/")[2] for entry in self._entries(path, recursive=False)]

    def walk(self, path: PathLike) -> list[str]:
        """Return the sorted paths of all files at any depth of a folder, relative to that folder."""
        top = "".join(f"{part}/" for part in _parts(path, "source"))
        return [entry.name.removeprefix(top) for entry in self._entries(path, recursive=True)]

    def rm(self, path: PathLike) -> None:
        """Remove a file or an empty folder."""
        parts = self._known(path)
        if self.isdir(path) and self._files().store.entries(parts, owner=_OWNER, recursive=False):
            raise DriveOSError(
                f"The folder {shown(path)} is not empty; remove its content first.", errno=errno.ENOTEMPTY
            )
        with translate_errors("rm", path, "nothing was removed"):
            self._files().store.delete(_OWNER, parts, durable=False)

    def isfile(self, path: PathLike) -> bool:
        """Return whether a file is at `path`."""
        return self._kind(_parts(path, "source")) == "file"

    def isdir(self, path: PathLike) -> bool:
        """Return whether a folder is at `path`; the top always exists."""
        return self._kind(_parts(path, "source")) == "folder"

    def _files(self) -> Artifacts:
        artifacts = Artifacts(".files", self._root)
        self._root = artifacts.root
        return artifacts

    def _known(self, path: PathLike) -> Parts:
        parts = _parts(path, "source")
        if not parts:
            raise DrivePathError(
                f"{shown(path)} is the top, which cannot be got or removed; use a path below it."
            )
        if self._kind(parts) is None:
            raise _missing(path)
        return parts

    def _entries(self, path: PathLike, *, recursive: bool) -> list[Entry]:
        parts = _parts(path, "source")
        if self._kind(parts) != "folder":
            raise _missing(path)
        with translate_errors("list", path):
            entries = self._files().store.entries(parts, owner=_OWNER, recursive=recursive)
        return [entry for entry in entries if not entry.name.endswith(_HIDDEN)]

    def _kind(self, parts: Parts) -> str | None:
        if not parts:
            return "folder"
        with translate_errors("check", "/".join(parts)):
            files = self._files()
            if files.store.is_folder(parts, owner=_OWNER):
                return "folder"
            return "file" if files.has(_OWNER, parts) else None


def _parts(path: PathLike, role: str) -> Parts:
    text = path_text(path)
    if not text.startswith("/"):
        raise DrivePathError(f"The provided {role} {shown(text)} needs to start with `/`.")
    return path_parts(text.lstrip("/"), portable=False)


def _missing(path: PathLike) -> DriveNotStored:
    return DriveNotStored(f"The provided path {shown(path)} doesn't exist. See listdir() and walk().")
