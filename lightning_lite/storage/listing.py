"""What is in an open file or folder of a drive: names, and entries with sizes, times and owners."""

from __future__ import annotations

from stat import S_ISDIR

from lightning_lite.storage import disk
from lightning_lite.storage.store import Entry

#: Makes an `Entry` of all its fields, without the keywords that cost as much as all the rest.
_new = tuple.__new__


def names_of(fd: int, path: str, *, recursive: bool) -> list[str]:
    """Return the paths in the folder `fd`, or that of the file.

    Args:
        fd: What is at `path`, open.
        path: Its path in the drive, "" for the top.
        recursive: Whether to go down to the files at any depth, instead of naming folders.
    """
    if not S_ISDIR(disk.fstat(fd).st_mode):
        return [path]
    prefix = f"{path}/" if path else ""
    if recursive:
        return [entry.name for entry in _walk(fd, prefix, "", recursive=True)]
    names = disk.listdir(fd)
    return [prefix + name for name in names] if prefix else names


def entries_of(fd: int, path: str, owner: str, *, recursive: bool) -> list[Entry]:
    """Return the entries in the folder `fd`, or that of the file; arguments as above."""
    info = disk.fstat(fd)
    if not S_ISDIR(info.st_mode):
        return [Entry(path, info.st_size, info.st_mtime, owner, False)]
    return _walk(fd, f"{path}/" if path else "", owner, recursive=recursive)


def _walk(folder: int, prefix: str, owner: str, *, recursive: bool) -> list[Entry]:
    found: list[Entry] = []
    with disk.scandir(folder) as items:
        for item in items:
            name = prefix + item.name
            is_folder = item.is_dir(follow_symlinks=False)
            if is_folder and recursive:
                fd = disk.open_file(item.name, disk.FOLDER, dir_fd=folder)
                try:
                    found += _walk(fd, f"{name}/", owner, recursive=True)
                finally:
                    disk.close(fd)
                continue
            try:
                info = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # deleted meanwhile: at the top of a component, where nothing is pinned
            fields = (name, 0 if is_folder else info.st_size, info.st_mtime, owner, is_folder)
            found.append(_new(Entry, fields))
    return found
