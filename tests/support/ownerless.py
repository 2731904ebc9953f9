"""A file system that keeps no owners and no modes, as vfat, CIFS, or the drives of Windows in WSL.

It is a server of the kernel's FUSE protocol, without the library of FUSE: a process of its own that shows
another folder. Each file belongs to one user and has one mode, no matter which process creates it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_DEVICE = "/dev/fuse"
_DETACH = 2
_BUFFER = 1024 * 1024

_HEADER = struct.Struct("<IIQQIIII")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")

# Bits of a request to change attributes.
_MODE, _OWNERS, _SIZE, _ATIME, _MTIME, _BY_HANDLE, _ATIME_NOW, _MTIME_NOW = 1, 6, 8, 16, 32, 64, 128, 256


@contextmanager
def ownerless(folder: Path, *, user: int, mode: int = 0o777, chmod: str = "ignored") -> Iterator[Path]:
    """Mount such a file system for the `with` block; the test is skipped where that is not possible.

    Args:
        folder: An empty folder, for the content and for the mount.
        user: User to whom all files belong.
        mode: Mode of all files.
        chmod: `ignored`, or `refused` with EPERM, as vfat does it.

    Yields:
        The folder in which it is mounted.
    """
    for name in ("content", "mount"):
        (folder / name).mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        device = os.open(_DEVICE, os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no FUSE: {error}")
    try:
        mount = os.fsencode(folder / "mount")
        options = f"fd={device},rootmode=40000,user_id={os.geteuid()},group_id={os.getegid()},allow_other"
        if libc.mount(b"ownerless", mount, b"fuse.ownerless", 0, options.encode()) != 0:
            pytest.skip(f"no FUSE: {os.strerror(ctypes.get_errno())}")
        arguments = [str(device), str(folder / "content"), str(user), str(mode), chmod]
        server = subprocess.Popen([sys.executable, "-I", __file__, *arguments], pass_fds=[device])
    finally:
        os.close(device)
    try:
        yield folder / "mount"
    finally:
        libc.umount2(mount, _DETACH)
        server.kill()
        server.wait()


class _Server:
    """Answers the requests of the kernel."""

    def __init__(self, device: int, content: str, user: int, mode: int, chmod: str) -> None:
        self._device = device
        self._user = user
        self._mode = mode
        self._refuses_chmod = chmod == "refused"
        top = os.open(content, os.O_PATH)
        self._fds = {1: top}  # of each file and folder that the kernel knows, by its number
        self._numbers = {self._identity(top): 1}

    def run(self) -> None:
        while True:
            try:
                data = os.read(self._device, _BUFFER)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return  # it is not mounted any more
                raise
            _, code, unique, number, *_ = _HEADER.unpack_from(data)
            body = data[_HEADER.size :]
            answer = getattr(self, f"_on_{code}", None)
            if code in (2, 36, 42):  # the kernel forgets a file, or a request; no answer is wanted
                continue
            failure, reply = 0, b""
            try:
                if answer is None:
                    failure = errno.ENOSYS
                else:
                    reply = answer(number, body)
            except OSError as error:
                failure = error.errno or errno.EIO
            if failure:
                reply = b""
            with suppress(FileNotFoundError):  # the request was interrupted
                os.write(self._device, struct.pack("<IiQ", 16 + len(reply), -failure, unique) + reply)

    def _identity(self, fd: int) -> tuple[int, int]:
        found = os.fstat(fd)
        return found.st_dev, found.st_ino

    def _path(self, number: int) -> str:
        return f"/proc/self/fd/{self._fds[number]}"

    def _attributes(self, found: os.stat_result) -> bytes:
        times = [divmod(at, 10**9) for at in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)]
        mode = stat.S_IFMT(found.st_mode) | self._mode
        owner = (self._user, self._user)
        numbers = (found.st_ino, found.st_size, found.st_blocks)
        parts = [seconds for seconds, _ in times] + [rest for _, rest in times]
        return _ATTRIBUTES.pack(*numbers, *parts, mode, found.st_nlink, *owner, 0, 4096, 0)

    def _entry(self, number: int, name: str) -> bytes:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._fds[number])
        inner = self._numbers.setdefault(self._identity(fd), len(self._fds) + 1)
        if inner in self._fds:
            os.close(fd)
        else:
            self._fds[inner] = fd
        return struct.pack("<QQQQII", inner, 0, 0, 0, 0, 0) + self._attributes(os.fstat(self._fds[inner]))

    def _on_26(self, _: int, body: bytes) -> bytes:  # init
        return struct.pack("<IIIIHHIIHHI7I", 7, 31, 65536, 0, 16, 12, 128 * 1024, 1, 32, 0, 0, *[0] * 7)

    def _on_1(self, number: int, body: bytes) -> bytes:  # lookup
        return self._entry(number, _name(body))

    def _on_3(self, number: int, body: bytes) -> bytes:  # getattr
        return struct.pack("<QII", 0, 0, 0) + self._attributes(os.fstat(self._fds[number]))

    def _on_4(self, number: int, body: bytes) -> bytes:  # setattr
        valid, _, _, size, _, atime, mtime, _, atime_rest, mtime_rest, *_ = struct.unpack(
            "<IIQQQQQQIIIIIIII", body
        )
        if valid & _OWNERS or (valid & _MODE and self._refuses_chmod):
            raise PermissionError(errno.EPERM, "")
        if valid & _SIZE:
            os.truncate(self._path(number), size)
        if valid & (_ATIME | _MTIME):
            found = os.stat(self._path(number))
            times = [found.st_atime_ns, found.st_mtime_ns]
            if valid & _ATIME and not valid & _ATIME_NOW:
                times[0] = atime * 10**9 + atime_rest
            if valid & _MTIME and not valid & _MTIME_NOW:
                times[1] = mtime * 10**9 + mtime_rest
            os.utime(self._path(number), ns=(times[0], times[1]))
        return self._on_3(number, b"")

    def _on_6(self, number: int, body: bytes) -> bytes:  # symlink
        raise PermissionError(errno.EPERM, "")

    _on_8 = _on_13 = _on_6  # mknod, link

    def _on_9(self, number: int, body: bytes) -> bytes:  # mkdir
        os.mkdir(_name(body[8:]), 0o777, dir_fd=self._fds[number])
        return self._entry(number, _name(body[8:]))

    def _on_10(self, number: int, body: bytes) -> bytes:  # unlink
        os.unlink(_name(body), dir_fd=self._fds[number])
        return b""

    def _on_11(self, number: int, body: bytes) -> bytes:  # rmdir
        os.rmdir(_name(body), dir_fd=self._fds[number])
        return b""

    def _on_12(self, number: int, body: bytes, start: int = 8) -> bytes:  # rename
        (target,) = struct.unpack_from("<Q", body)
        old, new, _ = (os.fsdecode(part) for part in body[start:].split(b"\0"))
        os.rename(old, new, src_dir_fd=self._fds[number], dst_dir_fd=self._fds[target])
        return b""

    def _on_45(self, number: int, body: bytes) -> bytes:  # rename with flags
        if struct.unpack_from("<QI", body)[1]:
            raise OSError(errno.EINVAL, "")
        return self._on_12(number, body, 16)

    def _on_14(self, number: int, body: bytes) -> bytes:  # open
        (flags,) = struct.unpack_from("<I", body)
        fd = os.open(self._path(number), flags & (os.O_ACCMODE | os.O_TRUNC))
        return struct.pack("<QII", fd, 0, 0)

    def _on_35(self, number: int, body: bytes) -> bytes:  # create
        (flags,) = struct.unpack_from("<I", body)
        name = _name(body[16:])
        flags = flags & (os.O_ACCMODE | os.O_EXCL | os.O_TRUNC) | os.O_CREAT
        fd = os.open(name, flags, 0o777, dir_fd=self._fds[number])
        return self._entry(number, name) + struct.pack("<QII", fd, 0, 0)

    def _on_15(self, _: int, body: bytes) -> bytes:  # read
        fd, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(fd, size, offset)

    def _on_16(self, _: int, body: bytes) -> bytes:  # write
        fd, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(fd, body[40 : 40 + size], offset), 0)

    def _on_17(self, number: int, _: bytes) -> bytes:  # statfs
        disk = os.statvfs(self._path(number))
        blocks = (disk.f_blocks, disk.f_bfree, disk.f_bavail, disk.f_files, disk.f_ffree)
        return struct.pack("<QQQQQIIII6I", *blocks, disk.f_bsize, 255, disk.f_frsize, 0, *[0] * 6)

    def _on_18(self, _: int, body: bytes) -> bytes:  # release
        os.close(struct.unpack_from("<Q", body)[0])
        return b""

    def _on_20(self, _: int, body: bytes) -> bytes:  # fsync, flush, fsyncdir, releasedir
        return b""

    _on_25 = _on_30 = _on_29 = _on_20

    def _on_27(self, number: int, body: bytes) -> bytes:  # opendir
        return struct.pack("<QII", 0, 0, 0)

    def _on_28(self, number: int, body: bytes) -> bytes:  # readdir
        _, offset, size = struct.unpack_from("<QQI", body)
        fd = os.open(self._path(number), os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(fd) as found:
                entries = sorted((entry.name, entry.inode(), entry.is_dir()) for entry in found)
        finally:
            os.close(fd)
        reply = b""
        for position, (name, inode, is_folder) in enumerate(entries[offset:], offset + 1):
            data = os.fsencode(name)
            kind = stat.S_IFDIR if is_folder else stat.S_IFREG
            entry = struct.pack("<QQII", inode, position, len(data), kind >> 12) + data
            entry += bytes(-len(entry) % 8)
            if len(reply) + len(entry) > size:
                break
            reply += entry
        return reply


def _name(body: bytes) -> str:
    return os.fsdecode(body.split(b"\0")[0])


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    os.umask(0)
    _Server(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]).run()
