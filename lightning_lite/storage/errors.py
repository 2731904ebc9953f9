"""The errors of drives; each is also the built-in exception that fits.

DriveError
├── DriveIdError              the id of a drive is wrong (ValueError)
├── DriveTypeError            a name or a value is of a wrong type (TypeError)
├── DrivePathError            a name may not be used in a drive (ValueError)
├── DriveSymlink              a symbolic link leads out of where it may lead (ValueError)
├── DriveSpecialFile          a FIFO, device or socket (ValueError)
├── DriveContextError         who asks may not touch files: the flow (RuntimeError)
├── DriveDetached             a path or an object comes from no work (RuntimeError)
├── DriveAmbiguous            several components have it (LookupError)
└── DriveOSError              the system said no; `errno` says why (OSError)
    ├── DriveNotFound         nothing is there (FileNotFoundError)
    │   ├── DriveTimeout      … and nothing came in time (TimeoutError)
    │   └── DriveNotStored    … of what a work was to hand on (RuntimeError)
    ├── DriveSourceMissing    what is to be put is not there (FileNotFoundError)
    ├── DriveSourceChanged    what is to be put changed meanwhile
    ├── DriveExists           something is there already (FileExistsError)
    │   ├── DriveDuplicate    … put by another component
    │   └── DriveNameClash    … under a name that is the same one on macOS or Windows
    ├── DriveIsDirectory      a folder where a file is wanted (IsADirectoryError)
    ├── DriveNotADirectory    a file where a folder is wanted (NotADirectoryError)
    ├── DrivePermissionError  the system does not allow it (PermissionError)
    │   └── DriveNotOwner     … nor do we: another component put it
    ├── DriveGone             the folder of the drive has vanished (FileNotFoundError)
    ├── DriveLockError        the lock of the drive can't be used
    │   └── DriveLockTimeout  … somebody holds it for too long (TimeoutError)
    └── DriveUnsupportedFS    locks or create-only do not hold on this file system
"""

from __future__ import annotations

import errno
import os
from typing import Any, Self

from lightning_lite.errors import LightningLiteError

#: Characters of a name that an error shows.
SHOWN = 200


def shown(thing: object) -> str:
    """Return `thing` for an error message: escaped, on one line, not too long."""
    text = repr(os.fspath(thing) if isinstance(thing, os.PathLike) else thing)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]}...{text[-1]}"


class DriveError(LightningLiteError):
    """Something about files in drives."""


class DriveIdError(DriveError, ValueError):
    """The id of a drive is wrong."""


class DriveTypeError(DriveError, TypeError):
    """A name, an id or another argument is of a wrong type."""


class DrivePathError(DriveError, ValueError):
    """A name that may not be used in a drive."""


class DriveSymlink(DriveError, ValueError):
    """A symbolic link that leads out of the folder in which a drive works."""


class DriveSpecialFile(DriveError, ValueError):
    """A FIFO, a device or a socket: neither a file nor a folder."""


class DriveContextError(DriveError, RuntimeError):
    """Who asks may not touch files: the flow, or the `__init__` of a component."""


class DriveDetached(DriveError, RuntimeError):
    """A path or an object that comes from no work is asked for what only a work can have."""


class DriveAmbiguous(DriveError, LookupError):
    """Several components have put a file of this name."""


class DriveOSError(DriveError, OSError):
    """The system refused what a drive needs; `errno` says why."""

    def __new__(cls, message: str, **fields: Any) -> Self:
        """Keep the arguments as they are; `OSError` would make something else of them."""
        error = super().__new__(cls)
        error.args = (message,)
        return error


class DriveNotFound(DriveOSError, FileNotFoundError):
    """Nothing of this name is in the drive."""


class DriveTimeout(DriveNotFound, TimeoutError):
    """Nothing of this name came into the drive in time."""


class DriveNotStored(DriveNotFound, RuntimeError):
    """What a work was to hand on is neither where the work has it nor in the store."""


class DriveSourceMissing(DriveOSError, FileNotFoundError):
    """What is to be put is not there."""


class DriveSourceChanged(DriveOSError):
    """What is to be put changed while it was read; nothing was put."""


class DriveExists(DriveOSError, FileExistsError):
    """Something is there already, and it may not be replaced."""


class DriveDuplicate(DriveExists):
    """Another component has put this path, and `allow_duplicates` is false."""


class DriveNameClash(DriveExists):
    """A name that macOS or Windows could not tell from another one in its folder."""


class DriveIsDirectory(DriveOSError, IsADirectoryError):
    """A folder is there where a file is wanted."""


class DriveNotADirectory(DriveOSError, NotADirectoryError):
    """A file is there where a folder is wanted."""


class DrivePermissionError(DriveOSError, PermissionError):
    """The system does not allow it."""


class DriveNotOwner(DrivePermissionError):
    """Only the component that put a file deletes it."""


class DriveGone(DriveOSError, FileNotFoundError):
    """The folder of the drive was there, and is not any more."""


class DriveLockError(DriveOSError):
    """The lock of the drive can't be used."""


class DriveLockTimeout(DriveLockError, TimeoutError):
    """Somebody holds the lock of the drive for too long."""


class DriveUnsupportedFS(DriveOSError):
    """Locks or create-only do not hold on the file system of the root."""


class DriveWarning(UserWarning):
    """Something about a drive that works, but not as well as it should."""


def system_error(operation: str, name: object, error: OSError, outcome: str = "") -> DriveOSError:
    """Return the error that tells what the system said to `operation` of `name`.

    Args:
        operation: The verb: `put`, `get`, ...
        name: What it was about.
        error: What the system said.
        outcome: What this means for the drive or the destination.
    """
    code = errno.errorcode.get(error.errno or 0, "no errno")
    where = f" on {shown(error.filename)}" if isinstance(error.filename, str) else ""
    kind = DrivePermissionError if isinstance(error, PermissionError) else DriveOSError
    reason = (error.strerror or str(error)).lower()
    message = f"{operation} {shown(name)} failed: {reason} ({code}){where}{'; ' if outcome else ''}{outcome}"
    return kind(message, errno=error.errno)


def translate_errors(operation: str, name: object, outcome: str = "") -> _ErrorTranslation:
    """Let what the system refuses in the `with` block be told as one of our errors; see `system_error`."""
    return _ErrorTranslation(operation, name, outcome)


class _ErrorTranslation:
    """The `with` block; a class, because each verb enters one, and a generator costs twice that."""

    __slots__ = ("_context",)

    def __init__(self, operation: str, name: object, outcome: str) -> None:
        self._context = operation, name, outcome

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, DriveError):
            raise system_error(*self._context[:2], error, self._context[2]) from error
