"""Finds the work that a user names by the end of its name, on the command line and in Python."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from lightning_lite.errors import ComponentError

#: Maximum number of names that an error lists.
_MAX_NAMES = 5


def find_work_name(text: str, names: Collection[str], where: str) -> str:
    """Return the full name of the work that the user named.

    Args:
        text: The name of the work, or the end of it.
        names: The names of all works.
        where: The run of the works, for the message.

    Raises:
        ComponentError: No work matches, or several match.

    Example:
        >>> find_work_name("train", ["root.train", "root.part.train"], "run 7")
        'root.train'
    """
    for name in (text, f"root.{text}"):
        if name in names:
            return name
    matching = [name for name in names if name.endswith(f".{text}")]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ComponentError(f"{text!r} matches several works of {where}: {list_names(matching)}.")
    by_end = {name.rpartition(".")[2]: name for name in names}
    similar = get_close_matches(text, [*names, *by_end], n=_MAX_NAMES, cutoff=0.5)
    if similar:
        hint = f"did you mean {list_names(dict.fromkeys(by_end.get(name, name) for name in similar))}?"
    else:
        hint = f"there are {list_names(sorted(names))}." if names else "it has none."
    raise ComponentError(f"there is no work {text!r} in {where}: {hint}")


def list_names(names: Iterable[str]) -> str:
    """Return the first names in words, with the number of the others.

    Example:
        >>> list_names("abcdefg")
        'a, b, c, d, e and 2 more'
    """
    found = list(names)
    more = f" and {len(found) - _MAX_NAMES} more" if len(found) > _MAX_NAMES else ""
    return ", ".join(found[:_MAX_NAMES]) + more
