"""The errors of drives; each is also the built-in exception that fits.

DriveError
├── DriveIdError              the id of a drive is invalid (ValueError)
├── DriveUrlError             the address of an object store is invalid (ValueError)
├── DriveTypeError            a name or a value has a wrong type (TypeError)
├── DrivePathError            a name is not allowed in a drive (ValueError)
├── DriveSymlink              a symbolic link leads out of the allowed folder (ValueError)
├── DriveSpecialFile          a FIFO, device or socket (ValueError)
├── DriveContextError         the caller may not use files: a flow (RuntimeError)
├── DriveDetached             a path or an object belongs to no work (RuntimeError)
├── DriveAmbiguous            several components have put the path (LookupError)
└── DriveOSError              the system returned an error; `errno` has its number (OSError)
    ├── DriveNotFound         the path is not in the drive (FileNotFoundError)
    │   ├── DriveTimeout      … and did not appear in time (TimeoutError)
    │   └── DriveNotStored    … a path or object of a work is not stored (RuntimeError)
    ├── DriveSourceMissing    the source of a put does not exist (FileNotFoundError)
    │   └── FileSystemSourceMissing   … of FileSystem.put (FileExistsError, too, as in Lightning App)
    ├── DriveSourceChanged    the source changed during a put or a get
    ├── DriveExists           the path exists already (FileExistsError)
    │   ├── DriveDuplicate    … put by another component
    │   └── DriveNameClash    … under a name that is the same one on macOS or Windows
    ├── DriveIsDirectory      a folder instead of a file (IsADirectoryError)
    ├── DriveNotADirectory    a file instead of a folder (NotADirectoryError)
    ├── DrivePermissionError  permission denied by the system (PermissionError)
    │   ├── DriveNotOwner     … by the drive: another component put the path
    │   └── DriveRefused      … another user could have written into the root (RootRefused)
    ├── DriveGone             the folder of the drive was removed (FileNotFoundError)
    ├── DriveUnreachable      the object store does not answer, or answers that it can't (ConnectionError)
    ├── DriveDamaged          an object of the store is missing or has another content
    ├── DriveLockError        the lock of the drive cannot be used
    │   └── DriveLockTimeout  … another process held it for too long (TimeoutError)
    └── DriveUnsupportedFS    locks or exclusive creation do not work on this file system
        └── DriveUnsupportedStore   … or conditions do not work in this object store
"""

from __future__ import annotations

import errno
import os
from typing import Any, Self

from lightning_lite.errors import LightningLiteError, RootRefused

#: Longest text of a name in an error message, in characters.
SHOWN = 200


def shown(thing: object) -> str:
    """Return `thing` for an error message: quoted, on one line, shortened."""
    text = repr(os.fspath(thing) if isinstance(thing, os.PathLike) else thing)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]}...{text[-1]}"


class DriveError(LightningLiteError):
    """An error of a drive, a path or a payload."""


class DriveIdError(DriveError, ValueError):
    """The id of a drive is invalid."""


class DriveUrlError(DriveError, ValueError):
    """The address of an object store is invalid."""


class DriveTypeError(DriveError, TypeError):
    """A name, an id or another argument has a wrong type."""


class DrivePathError(DriveError, ValueError):
    """A name is not allowed in a drive."""


class DriveSymlink(DriveError, ValueError):
    """A symbolic link leads out of the allowed folder."""


class DriveSpecialFile(DriveError, ValueError):
    """A FIFO, a device or a socket: neither a file nor a folder."""


class DriveContextError(DriveError, RuntimeError):
    """The caller may not use files: it is a flow, or the `__init__` of a component."""


class DriveDetached(DriveError, RuntimeError):
    """A path or an object that belongs to no work was used as if it did."""


class DriveAmbiguous(DriveError, LookupError):
    """Several components have put this path."""


class DriveOSError(DriveError, OSError):
    """The system returned an error; `errno` has its number."""

    def __new__(cls, message: str, **fields: Any) -> Self:
        """Set the arguments, which `OSError` would interpret."""
        error = super().__new__(cls)
        error.args = (message,)
        return error


class DriveNotFound(DriveOSError, FileNotFoundError):
    """The path is not in the drive."""


class DriveTimeout(DriveNotFound, TimeoutError):
    """The path did not appear in the drive in time."""


class DriveNotStored(DriveNotFound, RuntimeError):
    """A path or an object of a work is neither at its origin nor in the store."""


class DriveSourceMissing(DriveOSError, FileNotFoundError):
    """The source of a put does not exist."""


class FileSystemSourceMissing(DriveSourceMissing, FileExistsError):
    """The source of `FileSystem.put` does not exist; Lightning App raises `FileExistsError` for that."""


class DriveSourceChanged(DriveOSError):
    """The source of a put or a get changed while it was read; no copy was made."""


class DriveExists(DriveOSError, FileExistsError):
    """The path exists already, and may not be replaced."""


class DriveDuplicate(DriveExists):
    """Another component has put this path, and `allow_duplicates` is false."""


class DriveNameClash(DriveExists):
    """A name in the same folder is the same one on macOS or Windows."""


class DriveIsDirectory(DriveOSError, IsADirectoryError):
    """A folder is in the place of a file."""


class DriveNotADirectory(DriveOSError, NotADirectoryError):
    """A file is in the place of a folder."""


class DrivePermissionError(DriveOSError, PermissionError):
    """The system denied permission."""


class DriveNotOwner(DrivePermissionError):
    """Only the component that put a file can delete it."""


class DriveRefused(DrivePermissionError, RootRefused):
    """A folder of the root belongs to another user, or others may write to it; nothing in it was read."""


class DriveGone(DriveOSError, FileNotFoundError):
    """The folder of the drive was removed while the drive was in use."""


class DriveUnreachable(DriveOSError, ConnectionError):
    """The object store does not answer, or answers that it can't do it now."""


class DriveDamaged(DriveOSError):
    """An object of the store is missing, or has a content that this package has not written."""


class DriveLockError(DriveOSError):
    """The lock of the drive cannot be used."""


class DriveLockTimeout(DriveLockError, TimeoutError):
    """Another process held the lock of the drive for too long."""


class DriveUnsupportedFS(DriveOSError):
    """Locks or exclusive creation do not work on the file system of the root."""


class DriveUnsupportedStore(DriveUnsupportedFS):
    """The object store does not keep the conditions of requests."""


class DriveWarning(UserWarning):
    """A drive works, but with a limitation."""


def not_owned(owner: str, parts: tuple[str, ...], owners: list[str]) -> DriveNotFound | DriveNotOwner:
    """Return the error for a path that its component can't delete, because it has nothing there."""
    text = f"The component {shown(owner)} has no file {shown('/'.join(parts))} in this drive"
    if not owners:
        return DriveNotFound(f"{text}, and no other component has it; see list().")
    return DriveNotOwner(
        f"{text}; it belongs to {shown(owners[0])}, and only its owner deletes it: use "
        f"Drive(..., component_name={owners[0]!r}) to act as it.",
        owner=owners[0],
    )


def system_error(operation: str, name: object, error: OSError, outcome: str = "") -> DriveOSError:
    """Return the error for an `OSError` during `operation` of `name`.

    Args:
        operation: The method: `put`, `get`, ...
        name: Its path.
        error: Error of the system.
        outcome: State of the drive or the destination after the error.
    """
    code = errno.errorcode.get(error.errno or 0, "no errno")
    where = f" on {shown(error.filename)}" if isinstance(error.filename, str) else ""
    kind = DrivePermissionError if isinstance(error, PermissionError) else DriveOSError
    reason = (error.strerror or str(error)).lower()
    message = f"{operation} {shown(name)} failed: {reason} ({code}){where}{'; ' if outcome else ''}{outcome}"
    return kind(message, errno=error.errno)


def translate_errors(operation: str, name: object, outcome: str = "") -> _ErrorTranslation:
    """Raise an `OSError` in the `with` block as an error of drives; see `system_error`."""
    return _ErrorTranslation(operation, name, outcome)


class _ErrorTranslation:
    """The context manager; a class, because a generator takes twice the time, and each method enters one."""

    __slots__ = ("_context",)

    def __init__(self, operation: str, name: object, outcome: str) -> None:
        self._context = operation, name, outcome

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, DriveError):
            raise system_error(*self._context[:2], error, self._context[2]) from error
