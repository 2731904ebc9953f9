"""Opens, copies, clones and removes files and folders, by their descriptors.

Opening: the content of a `put` is read only inside an allowed folder. A path is resolved and checked first,
and then opened part by part, without following links: if another process replaces a part by a link in
between, the opening fails.

Permissions: stored files lose the owner's right to write, so that no user changes them by mistake (other
users have no access to the root); stored folders must be accessible to their owner. The sticky bit, which has
no effect on these files and folders, records that the source was read-only. Set-id bits are dropped. In a
group root, the group gets the rights that it needs, and the rights of the source are not recorded.

Copying: small files are read and written in one piece. Big files share their data with the source where the
file system supports it (reflink); else the kernel copies them with `copy_file_range` (on some network file
systems the server copies them), else with `sendfile`, else with `read` and `write`. Holes stay holes. Files
that are hard links of each other in the source are hard links of each other in the copy, too.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from stat import S_IMODE, S_IRGRP, S_ISDIR, S_ISLNK, S_ISREG, S_ISVTX, S_IWGRP, S_IWOTH, S_IWUSR

from lightning_lite.regular_files import kind_of
from lightning_lite.storage.base import OnProgress
from lightning_lite.storage.errors import (
    DriveError,
    DriveSourceChanged,
    DriveSourceMissing,
    DriveSpecialFile,
    DriveSymlink,
    DriveWarning,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.attributes import copy_attributes
from lightning_lite.storage.fs.symlinks import Links, broken_link
from lightning_lite.tracebacks import warn_user

#: Size in bytes up to which `read` and `write` are faster than every other way.
SMALL = 64 * 1024

#: Bytes per system call: between two calls, progress is reported and Python handles signals.
PIECE = 32 * 1024 * 1024

#: Bytes in memory when the file is copied with `read` and `write`.
BUFFER = 1024 * 1024

#: Size in bytes from which the free space of the disk is checked before the copy.
CHECK_SPACE_FROM = 64 * 1024 * 1024

#: Errors of `sendfile` and `copy_file_range` for files that they do not support, such as append-only ones.
_REFUSALS = syscalls.UNKNOWN | {errno.EBADF, errno.EPERM}

#: Errors of `link` on a file system without hard links, or for a file that has too many.
_NO_HARD_LINKS = syscalls.UNKNOWN | {errno.EPERM, errno.EACCES, errno.EMLINK}

_PERMISSIONS = 0o777


class Bounds:
    """Limits from where the content of a `put` is read.

    Args:
        folder: Absolute folder; nothing outside it is read.
        root: Absolute folder that holds all drives; it is never read, so that no drive is put into itself.
        follow_symlinks: Whether symbolic links may lead out of `folder`.
    """

    def __init__(self, folder: str, root: str, *, follow_symlinks: bool) -> None:
        self._folder = folder
        self._root = root
        self._follow = follow_symlinks

    def open(self, path: str) -> int:
        """Open the file or folder at the absolute path `path` and return its descriptor.

        Raises:
            DriveSourceMissing: It does not exist.
            DriveSymlink: It is a symbolic link that leads out of the folder.
            DriveSpecialFile: It is neither a file nor a folder.
        """
        if is_inside(path, self._folder):
            try:
                return self._open_real(path, path, self._folder)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
        return self._open_by_link(path)

    def refuse_root(self, folder: int, path: str) -> None:
        """Refuse an open folder that is the root of the drives, by whichever path it was reached."""
        root = syscalls.stat_if_exists(self._root)
        here = syscalls.fstat(folder)
        if root is not None and (here.st_dev, here.st_ino) == (root.st_dev, root.st_ino):
            raise _recursive(path)

    def _open_by_link(self, path: str) -> int:
        try:
            real = syscalls.realpath(path, strict=True)
        except (FileNotFoundError, NotADirectoryError):
            raise missing_source(path) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link that leads back to itself; remove it."
            ) from None
        folder = syscalls.realpath(self._folder)
        inside = is_inside(real, folder)
        if not inside and not self._follow:
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link to {shown(real)}, which is outside of "
                f"{shown(folder)}; copy its target, or pass follow_symlinks=True."
            )
        try:
            return self._open_real(real, path, folder if inside else "/")
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise DriveSourceChanged(f"{shown(path)} changed during the operation; try again.") from None

    def _open_real(self, real: str, path: str, base: str) -> int:
        if is_inside(self._root, real) or is_inside(real, f"{self._root}/drives"):
            raise _recursive(path)
        try:
            check_storable(syscalls.stat(real, follow_symlinks=False).st_mode, path)
            fd = open_beneath(base, real[len(base) :].split("/"))
        except FileNotFoundError:
            raise missing_source(path) from None
        try:
            check_storable(syscalls.fstat(fd).st_mode, path)
        except BaseException:
            syscalls.close(fd)
            raise
        return fd


def is_inside(path: str, folder: str) -> bool:
    """Return whether `path` is `folder` or below it; both are absolute and normalized.

    Example:
        >>> is_inside("/a/b", "/a"), is_inside("/ab", "/a"), is_inside("/a", "/")
        (True, False, True)
    """
    return path == folder or path.startswith(folder if folder[-1] == "/" else f"{folder}/")


def check_storable(mode: int, path: str) -> None:
    """Refuse everything except files, folders and symbolic links."""
    if not S_ISREG(mode) and not S_ISDIR(mode) and not S_ISLNK(mode):
        raise DriveSpecialFile(f"{shown(path)} is {kind_of(mode)}; only files and folders can be in a drive.")


def open_beneath(folder: str, parts: Sequence[str], last: int = syscalls.READ) -> int:
    """Open a file or folder below `folder`, without following symbolic links below it.

    Args:
        folder: Absolute path.
        parts: Path below it; empty parts are ignored.
        last: Flags for the last part.

    Raises:
        OSError: `ENOENT` if it does not exist, `ELOOP` or `ENOTDIR` if a part is a link or a file.
    """
    parts = [part for part in parts if part]
    if not parts:
        return syscalls.open_file(folder, syscalls.FOLDER & ~os.O_NOFOLLOW)
    first = syscalls.open_file(f"{folder}/{parts[0]}", syscalls.FOLDER if parts[1:] else last)
    return _descend(first, parts[1:], last)


def open_below(folder: int, path: str, last: int = syscalls.READ) -> int:
    """Open the file or folder at a path below an open folder, as `open_beneath` does."""
    return _descend(syscalls.dup(folder), path.split("/"), last)


def _descend(fd: int, parts: Sequence[str], last: int) -> int:
    """Open a file or folder below an open folder part by part; the folder is closed."""
    for depth, part in enumerate(parts, start=1):
        try:
            inner = syscalls.open_file(part, last if depth == len(parts) else syscalls.FOLDER, dir_fd=fd)
        finally:
            syscalls.close(fd)
        fd = inner
    return fd


def _recursive(path: str) -> DriveError:
    return DriveError(f"The source {shown(path)} contains the drives or is inside one; put something else.")


def missing_source(path: str) -> DriveSourceMissing:
    """Return the error for a source that is not at the absolute path `path`."""
    link = broken_link(path)
    if link is None:
        return DriveSourceMissing(f"The provided path {shown(path)} doesn't exist; nothing was put.")
    return DriveSourceMissing(
        f"The provided path {shown(path)} can't be read: {link}. Nothing was put. Remove the link, or make "
        f"its target; a link in a folder is kept with put(..., symlinks='keep')."
    )


def stored_mode(mode: int) -> int:
    """Return the permissions in the drive of a source with this mode.

    Example:
        >>> oct(stored_mode(0o100644)), oct(stored_mode(0o100444))
        ('0o444', '0o1444')
    """
    mark = 0 if mode & S_IWUSR else S_ISVTX
    if S_ISDIR(mode):
        return mode & _PERMISSIONS | 0o700 | mark
    return mode & _PERMISSIONS & ~S_IWUSR | mark


def shared_mode(mode: int) -> int:
    """Return the permissions in a drive of a group root of a source with this mode.

    The group may read each file, and put into and delete from each folder. A folder gets no sticky bit, which
    would keep other users from replacing files in it.

    Example:
        >>> oct(shared_mode(0o100600)), oct(shared_mode(0o040755))
        ('0o440', '0o2775')
    """
    if S_ISDIR(mode):
        return (mode & _PERMISSIONS | 0o2770) & ~S_IWOTH
    return stored_mode(mode) & ~(S_IWGRP | S_IWOTH) | S_IRGRP


def restored_mode(mode: int) -> int:
    """Return the permissions that the source had before it was stored with this mode.

    Example:
        >>> oct(restored_mode(0o100444)), oct(restored_mode(0o101444))
        ('0o644', '0o444')
    """
    permissions = mode & _PERMISSIONS
    return permissions & ~S_IWUSR if mode & S_ISVTX else permissions | S_IWUSR


def copy_bytes(
    source: int,
    target: int,
    before: os.stat_result,
    name: str,
    on_progress: OnProgress | None,
    *,
    may_change: bool = False,
) -> None:
    """Copy an open file into an empty one.

    Args:
        source: Descriptor, at position 0.
        target: Descriptor of an empty file.
        before: Status of the source when it was opened.
        name: Name of the source for errors.
        on_progress: Called with the number of bytes after each piece, or `None`.
        may_change: Whether the caller looks for changes of the source afterwards; then none is an error here.

    Raises:
        DriveSourceChanged: The source became longer or shorter, or, if it is big, was written to.
    """
    size = before.st_size
    if size <= SMALL:
        data = syscalls.read(source, size + 1)
        if len(data) != size and not may_change:
            raise changed(name)
        written = syscalls.write(target, data)
        if written != len(data):
            _write_all(target, data[written:])  # raises the error that made the first write short
        if on_progress is not None:
            on_progress(size)
    else:
        _copy_big(source, target, before, on_progress)
        after = syscalls.fstat(source)
        if not may_change and (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
            raise changed(name)


def stream(source: int, target: int) -> None:
    """Write the rest of an open file, from its current position, to another descriptor.

    Args:
        source: Descriptor of a regular file.
        target: Descriptor of a file, a pipe, a socket or a terminal.

    Raises:
        BrokenPipeError: The reader closed the pipe.
    """
    try:
        while syscalls.sendfile is not None and syscalls.sendfile(target, source, None, PIECE):
            pass
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
    while data := syscalls.read(source, BUFFER):  # empty if the kernel has sent everything
        rest = memoryview(data)
        while rest:
            rest = rest[syscalls.write(target, rest) :]


def _copy_big(source: int, target: int, before: os.stat_result, on_progress: OnProgress | None) -> None:
    size = before.st_size
    if before.st_blocks * 512 >= CHECK_SPACE_FROM:
        _check_space(target, before.st_blocks * 512)
    if syscalls.clone(source, target):
        if on_progress is not None:
            on_progress(size)
    else:
        for start, end in _data(source, before):
            copy_range(source, target, start, end, on_progress)
        syscalls.ftruncate(target, size)


def state_number(info: os.stat_result, text: str = "") -> int:
    """Return a number that changes with the content of a file, the names in a folder, or the text of a link.

    A program may set the time of the content back after it has written to a file. It can't set the time of
    the status (`ctime`), so that is included. It also changes with the permissions, the owner and the number
    of hard links, so the content of a file with another number may be the same.

    Args:
        info: Status of the file, folder or link.
        text: Path to which the link leads.
    """
    if S_ISREG(info.st_mode):
        return hash((info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns))
    return hash((info.st_ino, info.st_mtime_ns, text))


def changed(name: str, how: str = "changed while it was copied") -> DriveSourceChanged:
    """Return the error for a source of a put or a get that another process changed."""
    return DriveSourceChanged(
        f"{shown(name)} {how}; no copy was made. Try again when no process writes there, or copy only files "
        f"to which none writes."
    )


def _check_space(target: int, size: int) -> None:
    disk = os.fstatvfs(target)
    if disk.f_bavail * disk.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _data(source: int, info: os.stat_result) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that are not holes."""
    size = info.st_size
    if info.st_blocks * 512 >= size or not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = syscalls.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole
                return
            raise
        end = syscalls.lseek(source, start, os.SEEK_HOLE)
        yield start, end


def copy_range(source: int, target: int, start: int, end: int, on_progress: OnProgress | None) -> None:
    """Copy the bytes from `start` to `end` of an open file to the same place in another one.

    If the source is shorter, the rest is not copied.
    """
    syscalls.lseek(source, start, syscalls.SEEK_SET)
    syscalls.lseek(target, start, syscalls.SEEK_SET)
    for way in (_by_range, _by_pipe, _by_hand):
        while start < end:
            try:
                count = way(source, target, min(end - start, PIECE))
            except OSError as error:
                if way is _by_hand or error.errno not in _REFUSALS:
                    raise
                break
            if count == 0:
                return  # the file became shorter; the caller finds that out
            start += count
            if on_progress is not None:
                on_progress(count)


def _by_range(source: int, target: int, count: int) -> int:
    return (
        syscalls.copy_file_range(source, target, count)
        if syscalls.copy_file_range
        else _by_pipe(source, target, count)
    )


def _by_pipe(source: int, target: int, count: int) -> int:
    return (
        syscalls.sendfile(target, source, None, count)
        if syscalls.sendfile
        else _by_hand(source, target, count)
    )


def _by_hand(source: int, target: int, count: int) -> int:
    data = syscalls.read(source, min(count, BUFFER))
    _write_all(target, data)
    return len(data)


def _write_all(target: int, data: bytes) -> None:
    while data:
        data = data[syscalls.write(target, data) :]


def copy_file(
    source: int,
    target: int,
    info: os.stat_result,
    mode: int,
    *,
    name: str,
    durable: bool,
    on_progress: OnProgress | None,
    lost: set[str],
) -> None:
    """Copy an open file into an open empty file, with its times and extended attributes.

    Args:
        source: Descriptor, at position 0.
        target: Descriptor of the copy.
        info: Status of the source when it was opened.
        mode: Permissions of the copy.
        name: Name of the source for errors.
        durable: Whether the copy is flushed to the disk.
        on_progress: Called with the number of bytes after each piece, or `None`.
        lost: Gets a description of each attribute that the copy does not have.

    Raises:
        DriveSourceChanged: As `copy_bytes`.
    """
    copy_bytes(source, target, info, name, on_progress)
    attributes = syscalls.attribute_names(source)
    if attributes:
        copy_attributes(source, target, attributes, lost)
    _finish(target, info, mode, durable=durable)


class TreeCopier:
    """Copies folders with the permissions and times of everything in them.

    Args:
        mode: Returns the permissions of a copy for the mode of its source.
        check: Refuses names that may not be copied; called with the names in a folder and its path below the
            top. `None` refuses none.
        check_folder: Refuses a folder that may not be copied; called with descriptor and path; may be `None`.
        open_link: Opens the target of the symbolic link at a path below the top, whose content is copied.
        links: The links of the source; those that stay inside it are copied as links. `None` copies none so.
        durable: Whether each copy is flushed to the disk.
        on_progress: Called with the number of bytes after each piece, or `None`.
        states: Gets the `state_number` of each file, folder and link in the source before it is copied, by
            its path below the top, so that the caller can look for changes afterwards. With `None`, a change
            of the source during the copy is an error; so it is for content to which a link leads.

    Attributes:
        lost: Descriptions of the attributes that the copies do not have.
    """

    def __init__(
        self,
        *,
        mode: Callable[[int], int],
        check: Callable[[list[str], str], None] | None,
        check_folder: Callable[[int, str], None] | None,
        open_link: Callable[[str], int],
        links: Links | None,
        durable: bool,
        on_progress: OnProgress | None,
        states: dict[str, int] | None = None,
    ) -> None:
        self.lost: set[str] = set()
        self._states = states
        self._mode = mode
        self._check = check
        self._check_folder = check_folder
        self._open_link = open_link
        self._links = links
        self._durable = durable
        self._on_progress = on_progress
        self._modes: dict[int, int] = {}
        # Permissions that a new file gets in full, because the umask does not reduce them.
        self._kept_modes: set[int] = set()
        self._open_folders: list[tuple[int, int]] = []
        # Files with several names: device and inode, and the path of the first copy below the top.
        self._copies: dict[tuple[int, int], str] = {}
        self._top = -1
        self._is_by_link = False  # whether the copied file was reached by a link

    def copy_folder(self, source: int, target: int, path: str = "") -> None:
        """Copy the content of the open folder `source` into the open empty folder `target`."""
        before = syscalls.fstat(source)
        identity = (before.st_dev, before.st_ino)
        if identity in self._open_folders:
            raise DriveSymlink(
                f"A symbolic link at {shown(path)} leads back to a folder above it; remove it."
            )
        if not path:
            self._top = target
        if self._check_folder is not None:
            self._check_folder(source, path)
        self._open_folders.append(identity)
        is_recorded = self._record(path, before)
        with syscalls.scandir(source) as found:
            entries = list(found)
        if self._check is not None:
            self._check([entry.name for entry in entries], path)
        prefix = f"{path}/" if path else ""
        for entry in entries:
            name = entry.name
            if entry.is_symlink():
                self._copy_link(source, entry, target, prefix + name)
                continue
            inner = self._open(source, entry, prefix + name)
            try:
                self._copy_open(inner, target, name, prefix + name)
            finally:
                syscalls.close(inner)
        self._open_folders.remove(identity)
        if not is_recorded and syscalls.fstat(source).st_mtime_ns != before.st_mtime_ns:
            raise changed(path or ".")
        attributes = syscalls.attribute_names(source)
        if attributes:
            copy_attributes(source, target, attributes, self.lost)
        # The top stays writable for now: rename() of a folder needs that.
        mode = self._new_mode(before) | (0 if path else 0o700)
        _finish(target, before, mode, durable=self._durable)

    def _open(self, folder: int, entry: os.DirEntry[str], path: str) -> int:
        if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
            check_storable(entry.stat(follow_symlinks=False).st_mode, path)
        return syscalls.open_file(entry.name, syscalls.READ, dir_fd=folder)

    def _record(self, path: str, info: os.stat_result, text: str = "") -> bool:
        """Record the state of something in the source, and return whether changes of it are found by that."""
        if self._states is None or self._is_by_link:
            return False
        self._states[path] = state_number(info, text)
        return True

    def _copy_link(self, source: int, entry: os.DirEntry[str], folder: int, path: str) -> None:
        """Copy a symbolic link: as a link if it may stay one, else the content to which it leads."""
        info = entry.stat(follow_symlinks=False)
        self._record(path, info, syscalls.readlink(entry.name, dir_fd=source))
        text = None if self._links is None else self._links.kept(path)
        if text is not None:
            syscalls.symlink(text, entry.name, dir_fd=folder)
            times = (info.st_atime_ns, info.st_mtime_ns)
            syscalls.utime(entry.name, ns=times, dir_fd=folder, follow_symlinks=False)
            return
        inner = self._open_link(path)
        was_by_link, self._is_by_link = self._is_by_link, True
        try:
            self._copy_open(inner, folder, entry.name, path)
        finally:
            self._is_by_link = was_by_link
            syscalls.close(inner)

    def _link_to_copy(self, info: os.stat_result, folder: int, name: str, path: str) -> bool:
        """Make a hard link, if a file with several names was copied already; return whether that worked."""
        first = self._copies.setdefault((info.st_dev, info.st_ino), path)
        if first == path:
            return False
        try:
            syscalls.link(first, name, src_dir_fd=self._top, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            self.lost.add("hard links between its files")
            return False
        return True

    def _copy_open(self, source: int, folder: int, name: str, path: str) -> None:
        info = syscalls.fstat(source)
        if S_ISREG(info.st_mode):
            is_recorded = self._record(path, info)
            if info.st_nlink > 1 and self._link_to_copy(info, folder, name, path):
                return
            mode = self._new_mode(info)
            copy = syscalls.open_file(name, syscalls.CREATE, mode, dir_fd=folder)
            try:
                copy_bytes(source, copy, info, path, self._on_progress, may_change=is_recorded)
                attributes = syscalls.attribute_names(source)
                if attributes:
                    syscalls.set_mode(copy, mode | 0o600)  # only a writable file takes attributes
                    copy_attributes(source, copy, attributes, self.lost)
                    syscalls.set_mode(copy, mode)
                elif mode not in self._kept_modes:
                    self._set_mode(copy, mode)
                syscalls.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
                if self._durable:
                    syscalls.fsync(copy)
            finally:
                syscalls.close(copy)
            return
        check_storable(info.st_mode, path)
        syscalls.mkdir(name, 0o700, dir_fd=folder)
        copy = syscalls.open_file(name, syscalls.FOLDER, dir_fd=folder)
        try:
            self.copy_folder(source, copy, path)
        finally:
            syscalls.close(copy)

    def _new_mode(self, info: os.stat_result) -> int:
        mode = self._modes.get(info.st_mode)
        if mode is None:
            mode = self._modes[info.st_mode] = self._mode(info.st_mode)
        return mode

    def _set_mode(self, target: int, mode: int) -> None:
        if S_IMODE(syscalls.fstat(target).st_mode) == mode:
            self._kept_modes.add(mode)
        else:
            syscalls.set_mode(target, mode)


def _finish(target: int, info: os.stat_result, mode: int, *, durable: bool) -> None:
    syscalls.set_mode(target, mode)
    syscalls.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
    if durable:
        syscalls.fsync(target)


def warn_of_loss(path: str, lost: set[str]) -> None:
    """Warn once of everything that the copy of a file or folder does not have.

    Args:
        path: Path of the file or folder.
        lost: Descriptions of it.
    """
    if lost:
        warn_user(
            f"The copy of {shown(path)} does not keep {', '.join(sorted(lost))}; to keep that, copy it as an "
            f"archive.",
            DriveWarning,
        )


def clone_tree(source: int, target: int, skip: tuple[str, ...]) -> None:
    """Fill the empty folder `target` with hard links to the files in `source`, except for the path `skip`.

    A file of another user of a group root is copied, because Linux refuses links to it (protected_hardlinks).
    The clone is flushed, because the content of `source` may have been put durably.
    """
    before = syscalls.fstat(source)
    with syscalls.scandir(source) as entries:
        for entry in entries:
            skipped = bool(skip) and entry.name == skip[0]
            if skipped and len(skip) == 1:
                continue
            if not entry.is_dir(follow_symlinks=False):
                try:
                    syscalls.link(
                        entry.name, entry.name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False
                    )
                except PermissionError:
                    if entry.is_symlink():
                        text = syscalls.readlink(entry.name, dir_fd=source)
                        syscalls.symlink(text, entry.name, dir_fd=target)
                    else:
                        _clone_file(entry.name, source, target)
                continue
            syscalls.mkdir(entry.name, 0o700, dir_fd=target)
            inner = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=source)
            try:
                copy = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=target)
                try:
                    clone_tree(inner, copy, skip[1:] if skipped else ())
                finally:
                    syscalls.close(copy)
            finally:
                syscalls.close(inner)
    attributes = syscalls.attribute_names(source)
    if attributes:
        copy_attributes(source, target, attributes, set())  # the original has them, so nothing is lost
    syscalls.set_mode(target, before.st_mode & 0o7777)
    syscalls.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    syscalls.fsync(target)


def _clone_file(name: str, source: int, target: int) -> None:
    fd = syscalls.open_file(name, syscalls.READ, dir_fd=source)
    try:
        info = syscalls.fstat(fd)
        check_storable(info.st_mode, name)
        copy = syscalls.open_file(name, syscalls.CREATE, 0o600, dir_fd=target)
        try:
            mode = S_IMODE(info.st_mode)
            copy_file(fd, copy, info, mode, name=name, durable=True, on_progress=None, lost=set())
        finally:
            syscalls.close(copy)
    finally:
        syscalls.close(fd)


def empty_folder(fd: int) -> bool:
    """Remove the content of a folder that no path leads to; the caller holds the lock of the folder.

    Returns:
        Whether it is empty now. A folder that a reader has locked stays; the next cleaning removes it.
    """
    if syscalls.fstat(fd).st_mode & 0o700 != 0o700:
        syscalls.fchmod(fd, 0o700)
    with syscalls.scandir(fd) as found:
        entries = list(found)
    emptied = True
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            syscalls.unlink(entry.name, dir_fd=fd)
        elif not _remove_folder(fd, entry.name):
            emptied = False
    return emptied


def _remove_folder(parent: int, name: str) -> bool:
    try:
        fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=parent)
    except PermissionError:
        with path_only(name, parent) as closed:
            syscalls.chmod_folder(closed, 0o700)
        fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=parent)
    try:
        if not syscalls.try_lock(fd) or not empty_folder(fd):
            return False
    finally:
        syscalls.close(fd)
    syscalls.rmdir(name, dir_fd=parent)
    return True


@contextmanager
def path_only(name: str, parent: int) -> Iterator[int]:
    """Give a descriptor of a folder for the `with` block, also of one that may not be read."""
    fd = syscalls.open_file(name, syscalls.PATH_ONLY, dir_fd=parent)
    try:
        yield fd
    finally:
        syscalls.close(fd)
