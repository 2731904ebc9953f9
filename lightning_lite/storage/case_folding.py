"""Detects names that differ only in case or Unicode form: the same file on macOS and Windows."""

from __future__ import annotations

from unicodedata import normalize

from lightning_lite.storage.errors import DriveNameClash, shown
from lightning_lite.storage.fs import syscalls


def has_one_spelling(name: str) -> bool:
    """Return whether a name is the same on all systems, as it has no letters, nor any sign beyond ASCII."""
    return name.isascii() and name.lower() == name.upper()


def is_there(folder: str, name: str) -> bool:
    """Return whether a name is there as it is spelled, not just found so where the system ignores case."""
    return (
        syscalls.look(f"{folder}/{name}") is not None and syscalls.look(f"{folder}/{name.swapcase()}") is None
    )


def refuse_other(name: str, names: list[str], folder: str) -> None:
    """Refuse a name of which another spelling is among `names`.

    Args:
        name: The new name.
        names: Those that are there.
        folder: Path of all, for the error.
    """
    text = f"/{'//'.join(names)}/"  # searched as a whole: folders may have very many names
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


def refuse_two_spellings(names: list[str], folder: str) -> None:
    """Refuse a folder in which one name has two spellings.

    Args:
        names: The names in it.
        folder: Its path, for the error.
    """
    if "".join(names).isascii() and len(set(map(str.lower, names))) == len(names):
        return  # as nearly all folders
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(folded(name), name)
        if other != name:
            raise _clash(name, other, folder)


def folded(name: str) -> str:
    r"""Return what all spellings of a name have in common.

    Example:
        >>> folded("Stra\u00dfe") == folded("STRASSE"), folded("\u00e9") == folded("E\u0301")
        (True, True)
    """
    return name.lower() if name.isascii() else normalize("NFD", normalize("NFD", name).casefold())


def _clash(name: str, other: str, folder: str) -> DriveNameClash:
    where = f" in {shown(folder)}" if folder else ""
    return DriveNameClash(
        f"The names {shown(name)} and {shown(other)}{where} are one on macOS and Windows; rename one of "
        f"them, or use Drive(..., portable_names=False)."
    )
