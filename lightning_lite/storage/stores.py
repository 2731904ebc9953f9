"""Which store keeps the drives, by the place at which they are: only this module creates stores.

A place is an absolute folder, for drives in plain files, or a url, for drives on an object store.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from lightning_lite.late_import import late_import
from lightning_lite.root_access import ANY, UNSHARED
from lightning_lite.storage.base import Store
from lightning_lite.storage.errors import DriveRefused, shown
from lightning_lite.storage.local import store as local
from lightning_lite.store_url import PLACE_FOR_ALL_MACHINES, UNSEEN, is_url

#: Beginnings of the names of variables that say how an object store is reached, and where copies are.
_OF_CONNECTIONS = ("AWS_", "LIGHTNING_LITE_INSTANCE_ROLE", "XDG_CACHE_HOME")

#: The stores that are no drives: no id of a drive begins with a dot.
PRIVATE = (".paths", ".payloads", ".files")


def open_store(place: str, name: str, mode: str = ANY) -> Store:
    """Return the store of a drive.

    Args:
        place: Absolute folder or url that holds all drives.
        name: Name of the drive, without `lit://`.
        mode: With whom a folder may be shared, see `root_access.opened`.
    """
    if is_url(place):
        return _open_object_store(place, name, _variables())
    _check_is_seen(place)
    return local.LocalStore(place, name, mode)


def open_private_store(place: str, name: str, *, make: bool = True) -> Store:
    """Return a store that no other user shares, also in a group root.

    All writers of the bucket of a url share its content.

    Args:
        place: Absolute folder or url that holds all drives.
        name: Name of the store.
        make: Whether the user's folder in a group root is created if it is missing.

    Raises:
        DriveRefused: Another user could have written into the root.
    """
    if is_url(place):
        return open_store(place, name)
    _check_is_seen(place)
    return local.LocalStore(local.private_root(place, make=make), name, UNSHARED)


def drive_names(place: str) -> list[str]:
    """Return the names of the drives at a place, sorted; the list is empty if a folder is not a root.

    Args:
        place: Absolute folder or url that holds all drives.
    """
    if is_url(place):
        return _object_store().drive_names(place)  # type: ignore[no-any-return]
    _check_is_seen(place)
    return local.drive_names(place)


def _check_is_seen(place: str) -> None:
    """Refuse a folder that the machine of this work does not see, because its files would be lost.

    Raises:
        DriveRefused: The message names the folder, and what to do.
    """
    if place.startswith(UNSEEN):
        raise DriveRefused(
            f"This machine does not see {shown(place.removeprefix(UNSEEN))}, in which the app keeps its "
            f"drives. {PLACE_FOR_ALL_MACHINES}."
        )


def sweep(place: str) -> int:
    """Delete replaced versions and leftovers of dead processes from an object store.

    Plain files need no such call: each put and delete removes the version that it replaces.

    Args:
        place: Absolute folder or url that holds all drives.

    Returns:
        Number of objects that were deleted.
    """
    if not is_url(place):
        return 0
    stores = (_object_store().ObjectStore(place, name) for name in (*drive_names(place), *PRIVATE))
    return sum(store.sweep() for store in stores)


@lru_cache(maxsize=32)
def _open_object_store(place: str, name: str, variables: int) -> Store:
    """Return a store, which is shared: it has open connections, and knows that its conditions are kept.

    Args:
        place: As for `open_store`.
        name: As for `open_store`.
        variables: The result of `_variables`: after a change of one, another store is opened.
    """
    return _object_store().ObjectStore(place, name)  # type: ignore[no-any-return]


def _variables() -> int:
    """Return a number that changes with the variables for connections."""
    return hash(frozenset(item for item in os.environ.items() if item[0].startswith(_OF_CONNECTIONS)))


def _object_store() -> Any:
    """Return the module of object stores, by its name: drives in plain files need none of its modules."""
    return late_import("lightning_lite.storage.object_store.store")
