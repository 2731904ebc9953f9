"""Which store keeps the drives: the only module outside `storage.local` that knows an implementation."""

from __future__ import annotations

from lightning_lite.root_access import ANY, UNSHARED
from lightning_lite.storage.base import Store
from lightning_lite.storage.local import store as local


def open_store(root: str, name: str, mode: str = ANY) -> Store:
    """Return the store of a drive.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the drive, without `lit://`.
        mode: With whom the root may be shared, see `root_access.opened`.
    """
    return local.LocalStore(root, name, mode)


def open_private_store(root: str, name: str, *, make: bool = True) -> Store:
    """Return a store that no other user shares, also in a group root.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the store.
        make: Whether the user's folder in a group root is created if it is missing.

    Raises:
        DriveRefused: Another user could have written into the root.
    """
    return local.LocalStore(local.private_root(root, make=make), name, UNSHARED)


def drive_names(root: str) -> list[str]:
    """Return the names of the drives in a root, sorted; the list is empty if the folder is no root.

    Args:
        root: Absolute folder that holds all drives.
    """
    return local.drive_names(root)
