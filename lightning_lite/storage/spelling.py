"""Names that are two here and one elsewhere: macOS and Windows do not tell `File` from `file`."""

from __future__ import annotations

from unicodedata import normalize

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveNameClash, shown


def refuse_other_spelling(folder: str, parts: tuple[str, ...]) -> None:
    """Refuse a path of which another spelling is there.

    Args:
        folder: Where the path begins; nothing is refused if it does not exist.
        parts: The path.
    """
    for depth, part in enumerate(parts):
        place = "/".join((folder, *parts[:depth]))
        if part.lower() == part.upper() or _is_there(place, part):
            continue  # what has no letters has one spelling, and what is there was let in
        try:
            names = disk.listdir(place)
        except (FileNotFoundError, NotADirectoryError):
            return
        _refuse_other(part, names, "/".join(parts[:depth]))


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
        other = seen.setdefault(_folded(name), name)
        if other != name:
            raise _clash(name, other, folder)


def _is_there(folder: str, name: str) -> bool:
    """Return whether a name is there as it is spelled, not just found so where the system ignores case."""
    return disk.look(f"{folder}/{name}") is not None and disk.look(f"{folder}/{name.swapcase()}") is None


def _refuse_other(name: str, names: list[str], folder: str) -> None:
    text = f"/{'//'.join(names)}/"  # searched as a whole: folders may have very many names
    if (
        text.isascii()
        and name.isascii()
        and text.lower().count(f"/{name.lower()}/") == text.count(f"/{name}/")
    ):
        return
    folded = _folded(name)
    for other in names:
        if other != name and _folded(other) == folded:
            raise _clash(name, other, folder)


def _folded(name: str) -> str:
    r"""Return what all spellings of a name have in common.

    Example:
        >>> _folded("Stra\u00dfe") == _folded("STRASSE"), _folded("\u00e9") == _folded("E\u0301")
        (True, True)
    """
    return name.lower() if name.isascii() else normalize("NFD", normalize("NFD", name).casefold())


def _clash(name: str, other: str, folder: str) -> DriveNameClash:
    where = f" in {shown(folder)}" if folder else ""
    return DriveNameClash(
        f"The names {shown(name)} and {shown(other)}{where} are one on macOS and Windows; rename one of "
        f"them, or use Drive(..., portable_names=False)."
    )
