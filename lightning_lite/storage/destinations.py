"""The argument `to` of `put` and `get`: a new name, or a folder that takes files and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from lightning_lite.storage.base import Parts
from lightning_lite.storage.errors import DriveNotADirectory, DrivePathError, shown


class Target(NamedTuple):
    """The argument `to` of the user.

    Attributes:
        parts: Its parts; the top of the drive, or of the user's folder, has none.
        text: The argument as the user wrote it.
    """

    parts: Parts
    text: str

    @property
    def is_surely_folder(self) -> bool:
        """Whether it can only be a folder: it ends in a slash, or is `.`."""
        return self.text.endswith(("/", "/.")) or self.text == "."


def destinations(
    paths: list[Parts],
    target: Target,
    several: bool,
    is_folder_there: Callable[[Parts], bool],
    is_folder: Callable[[Parts], bool],
) -> list[Parts]:
    """Return the paths that files and folders get by the argument `to` of the user.

    Args:
        paths: Paths of the files and folders at their origin.
        target: The argument `to`.
        several: Whether the user has given several paths, or a pattern.
        is_folder_there: Returns whether a path of the destination is a folder.
        is_folder: Returns whether a path of the origin is a folder.

    Raises:
        DriveNotADirectory: Several paths have a target that is not a folder.
        DrivePathError: Two paths would get the same name, or one has no name.
    """
    if not target.text:
        raise DrivePathError("The name '' is empty; name a file or a folder.")
    if not several and not target.is_surely_folder:
        # A folder does not go into the one that is there: the same put, repeated, has to replace it.
        is_new_name = not is_folder_there(target.parts) or is_folder(paths[0])
        return [target.parts if is_new_name else target.parts + paths[0][-1:]]
    if not target.is_surely_folder and not is_folder_there(target.parts):
        raise DriveNotADirectory(
            f"to={target.text!r} is not a folder that is there, and several paths or a pattern need a "
            f"folder; write to={target.text + '/'!r}."
        )
    if () in paths:
        raise DrivePathError(
            f"The folder '.' has no name that {shown(target.text)} could use. Put it in a separate call, "
            "with a name: to='all'."
        )
    check_last_names(["/".join(parts) for parts in paths], target.text)
    return [target.parts + parts[-1:] for parts in paths]


def check_last_names(paths: Iterable[str], to: str) -> None:
    """Refuse paths of which two have the same last name, because one would replace the other in a folder.

    Args:
        paths: The paths, each once.
        to: The folder that gets them, as the user wrote it.

    Raises:
        DrivePathError: Two of them have the same last name.
    """
    known: dict[str, str] = {}
    for path in paths:
        first = known.setdefault(path.rpartition("/")[2], path)
        if first != path:
            raise DrivePathError(
                f"{shown(first)} and {shown(path)} have the same last name, and the folder {shown(to)} can "
                f"have only one of them; use a target for each, or the folder that contains both."
            )
