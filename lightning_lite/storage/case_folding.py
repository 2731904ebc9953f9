"""Detects names that differ only in case or Unicode form: the same file on macOS and Windows."""

from __future__ import annotations

from unicodedata import normalize

from lightning_lite.storage.errors import DriveNameClash, shown
from lightning_lite.storage.fs import syscalls


def has_one_form(name: str) -> bool:
    """Return whether a name has no other form on any system: it is ASCII without letters."""
    return name.isascii() and name.lower() == name.upper()


def is_there(folder: str, name: str) -> bool:
    """Return whether a name exists exactly as given, not only because the file system ignores case."""
    return (
        syscalls.stat_if_exists(f"{folder}/{name}") is not None
        and syscalls.stat_if_exists(f"{folder}/{name.swapcase()}") is None
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
