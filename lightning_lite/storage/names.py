"""The rules for names: which are allowed, which are the same on other systems, which match a pattern.

Names of drives, components and paths are checked before a file is touched. They are plain text: `~`, `$` and
`%2e` are not expanded or decoded. No function here reads a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from unicodedata import is_normalized, normalize

from lightning_lite.storage.base import Parts
from lightning_lite.storage.errors import DriveIdError, DriveNameClash, DrivePathError, DriveTypeError, shown

#: A path given by the user.
PathLike = str | os.PathLike[str]

PROTOCOL = "lit://"

#: Prefix of the store's own files and folders; no other name may begin with it.
RESERVED = ".lightning_lite"

#: Most bytes in one part of a path: the limit of Linux and macOS.
MAX_PART = 255

#: Most bytes in a path, and most parts: with the root, a path must fit into the system's 4,096 bytes.
MAX_PATH = 2048
MAX_DEPTH = 100

#: Number of characters up to which a path is within both limits, with any characters.
SURELY_SHORT = 2 * MAX_DEPTH - 2

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
_MAX_ID = 128

#: Matches nearly all names, and none that is refused.
_PLAIN = re.compile(
    rf"(?!{re.escape(RESERVED)}|(?i:con|prn|aux|nul|com|lpt))[A-Za-z0-9._-]{{0,{MAX_PART - 1}}}[A-Za-z0-9_-]"
)

_CONTROLS = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0x2028, 0x202E),  # line separators and overrides of the direction of writing
    (0x2066, 0x2069),
    (0xD800, 0xDFFF),  # surrogates: bytes that are not valid UTF-8
)
_MAGIC = frozenset("*?[")
_NOT_ON_WINDOWS = frozenset('\\:*?"<>|')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)


def drive_name(drive_id: object) -> str:
    """Return the name in the id of a drive.

    Example:
        >>> drive_name("lit://models")
        'models'
    """
    if not isinstance(drive_id, str):
        raise DriveTypeError(f"The Drive id must be a str like 'lit://name', got {type(drive_id).__name__}.")
    if drive_id.startswith("s3://"):
        raise DriveIdError(
            "Using S3 buckets in a Drive is no longer supported; use an id like 'lit://name', and say with "
            "drives= of the app, or root_dir= of the drive, in which bucket it is."
        )
    if not drive_id:
        raise DriveIdError("The Drive id needs to start with one of the following protocols: ['lit://'].")
    if not drive_id.startswith(PROTOCOL):
        raise DriveIdError(
            f"Unknown protocol for the drive 'id' argument {shown(drive_id)}; use an id like 'lit://name'."
        )
    name = drive_id.removeprefix(PROTOCOL)
    if "/" in name:
        raise DriveIdError(
            f"The id should be unique to identify your drive. Found `{shown(name)[1:-1]}`. It has a '/'."
        )
    if not _ID.fullmatch(name) or len(name) > _MAX_ID:
        raise DriveIdError(
            f"The Drive id {shown(drive_id)} is wrong: after 'lit://' the allowed characters are letters, "
            f"digits, '.', '_' and '-', not a '.' first, at most {_MAX_ID}."
        )
    return name


def component_folder(name: object) -> str:
    """Return the name of the folder of a component, which is the component's name, if it is valid."""
    if not isinstance(name, str):
        raise DriveTypeError(f"component_name must be a str, got {type(name).__name__}.")
    if not name.strip() or name in (".", "..") or "/" in name:
        raise DrivePathError(f"Invalid component_name {shown(name)}; use a name like 'root.work'.")
    check_part(name, name, portable=False)
    return name


def path_parts(path: PathLike, *, portable: bool) -> Parts:
    """Return the parts of a path in a drive; the top has none.

    Args:
        path: Relative path, with `/` between its parts.
        portable: Whether names are refused that Windows does not allow.

    Example:
        >>> path_parts("runs/./1/model.ckpt", portable=True)
        ('runs', '1', 'model.ckpt')
    """
    text = path_text(path)
    if _PLAIN.fullmatch(text):
        return (text,)
    if text.startswith("/"):
        raise DrivePathError(f"{shown(text)} is an absolute path; names in a drive are relative.")
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if len(parts) > MAX_DEPTH:
        raise DrivePathError(
            f"{shown(text)} has {len(parts)} parts, the limit is {MAX_DEPTH}; use a shorter path."
        )
    for part in parts:
        check_part(part, text, portable=portable)
    check_length("/".join(parts))
    return parts


def path_text(path: object) -> str:
    """Return `path` as text, or raise an error if it is not a path."""
    if isinstance(path, str):
        return path
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise DriveTypeError(f"A name in a drive must be str or Path, got {type(text).__name__}.")
    return text


def has_magic(text: str) -> bool:
    """Return whether a path is a pattern: contains `*`, `?` or `[`."""
    return not _MAGIC.isdisjoint(text)


def check_length(path: str) -> None:
    """Refuse a path that is too long or too deep."""
    depth = path.count("/") + 1
    if depth > MAX_DEPTH:
        raise DrivePathError(
            f"{shown(path)} has {depth} parts, the limit is {MAX_DEPTH}; use a shorter path."
        )
    if len(path) * 4 > MAX_PATH and len(os.fsencode(path)) > MAX_PATH:
        raise DrivePathError(f"{shown(path)} is longer than {MAX_PATH} bytes; use a shorter path.")


def check_names(names: list[str], folder: str, *, portable: bool) -> None:
    """Refuse a folder with a name that is not allowed in a drive.

    Args:
        names: The names in it.
        folder: Its path, for the error.
        portable: Whether names are refused that Windows or macOS cannot store.
    """
    if not all(map(_PLAIN.fullmatch, names)):
        for name in names:
            check_part(name, f"{folder}/{name}" if folder else name, portable=portable)


def check_part(part: str, whole: str, *, portable: bool) -> None:
    """Refuse `part` of the path `whole` if that name is not allowed in a drive."""
    if _PLAIN.fullmatch(part):
        return
    if part == "..":
        raise DrivePathError(f"'..' is not allowed in {shown(whole)}; a path can't leave the drive.")
    if part.startswith(RESERVED):
        raise DrivePathError(f"{shown(part)} in {shown(whole)} is a reserved name; use another one.")
    if not part.isprintable():
        _refuse_controls(part, whole)
    if len(part) * 4 > MAX_PART and len(os.fsencode(part)) > MAX_PART:
        size = len(os.fsencode(part))
        raise DrivePathError(
            f"A part of {shown(whole)} is {size} bytes, the limit is {MAX_PART}; shorten it."
        )
    if not part.strip():
        raise DrivePathError(f"A name in {shown(whole)} consists of spaces; use another one.")
    if portable:
        _refuse_unportable(part, whole)


def _refuse_controls(part: str, whole: str) -> None:
    for position, character in enumerate(part):
        code = ord(character)
        if any(low <= code <= high for low, high in _CONTROLS):
            raise DrivePathError(
                f"{shown(whole)} has the control character U+{code:04X} at position {position} of a name; "
                f"remove it."
            )


def _refuse_unportable(part: str, whole: str) -> None:
    if not _NOT_ON_WINDOWS.isdisjoint(part):
        reason = f"Windows does not allow {min(_NOT_ON_WINDOWS.intersection(part))!r} in names"
    elif part[-1] in ". ":
        reason = "Windows drops the last character of such names"
    elif part.partition(".")[0].lower() in _DEVICES:
        reason = "Windows reserves that name for a device"
    elif not part.isascii() and not is_normalized("NFC", part):
        reason = "macOS spells it differently (it is not in Unicode's NFC form)"
    else:
        return
    raise DrivePathError(
        f"The name {shown(part)} in {shown(whole)} is not portable: {reason}; rename it, or use "
        f"Drive(..., portable_names=False)."
    )


def refuse_other_form(name: str, names: list[str], folder: str) -> None:
    """Refuse a name if `names` contain another form of it, in case or Unicode.

    Args:
        name: The new name.
        names: The existing names.
        folder: Path of the folder, for the error.
    """
    text = f"/{'//'.join(names)}/"  # one string, because folding each name of a very big folder is slow
    if (
        text.isascii()
        and name.isascii()
        and text.lower().count(f"/{name.lower()}/") == text.count(f"/{name}/")
    ):
        return
    fold = folded(name)
    for other in names:
        if other != name and folded(other) == fold:
            raise _clash(name, other, folder)


def refuse_two_forms(names: list[str], folder: str) -> None:
    """Refuse a folder that contains two forms of one name, in case or Unicode.

    Args:
        names: The names in it.
        folder: Its path, for the error.
    """
    if "".join(names).isascii() and len(set(map(str.lower, names))) == len(names):
        return  # nearly all folders
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(folded(name), name)
        if other != name:
            raise _clash(name, other, folder)


def folded(name: str) -> str:
    r"""Return the text that all forms of a name share.

    Example:
        >>> folded("Stra\u00dfe") == folded("STRASSE"), folded("\u00e9") == folded("E\u0301")
        (True, True)
    """
    return name.lower() if name.isascii() else normalize("NFD", normalize("NFD", name).casefold())


def _clash(name: str, other: str, folder: str) -> DriveNameClash:
    where = f" in {shown(folder)}" if folder else ""
    return DriveNameClash(
        f"The names {shown(name)} and {shown(other)}{where} are the same on macOS or Windows; rename one of "
        f"them, or use Drive(..., portable_names=False)."
    )


def expand(
    pattern: Parts, names: Callable[[Parts], list[str]], exists: Callable[[Parts], bool]
) -> list[Parts]:
    """Return the paths that match a pattern, sorted.

    As in a shell, `*`, `?` and `[...]` match characters of one name, and a name that begins with
    a dot matches only a pattern that begins with one.

    Args:
        pattern: Parts of the pattern.
        names: Returns the paths in a folder.
        exists: Returns whether a path exists.

    Example:
        >>> expand(("*.txt",), lambda folder: ["a.txt", "b.csv", ".c.txt"], lambda path: True)
        [('a.txt',)]
    """
    found: list[Parts] = [()]
    for part in pattern:
        if has_magic(part):
            inner = [(folder, tuple(path.split("/"))) for folder in found for path in names(folder)]
            found = [path for folder, path in inner if len(path) > len(folder) and _matches(path[-1], part)]
        else:
            found = [(*path, part) for path in found]
    return sorted(path for path in found if exists(path))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
