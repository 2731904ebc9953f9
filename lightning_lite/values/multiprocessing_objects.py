"""Pickles works whose attributes processes share: queues, locks, connections and shared memory.

`multiprocess` and `multiprocessing` pickle such an object only while they start a process. `pack_shared` does
what they do then: it sets their "spawning popen", uses their reducers, and duplicates each file descriptor.

    pack_shared   Connection ─▶ its reducer ─▶ DupFd(7) ─▶ Descriptor 0, a duplicate of 7 ─┐  sent by the
    unpack_shared Connection ◀─ rebuild     ◀─ detach() ◀─ take(0) ◀───────────────────────┘  runner

Locks travel by the name of their semaphore, shared memory by its own. Nothing is imported here: without a
loaded package there is nothing to share.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each work with shared objects 5 ms
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from threading import local
from typing import Any

from lightning_lite.values.pickling import pack, unpack
from lightning_lite.values.transferable import NotShareable

PACKAGES = ("multiprocess", "multiprocessing")

#: A package has objects to share once one of these modules of it is loaded.
_SOURCES = ("connection", "heap", "shared_memory", "synchronize")

#: Modules whose reducers are used. Those of `reduction` would make sockets and methods picklable.
_REDUCING = ("connection", "heap", "sharedctypes")

_PROTOCOL = 5


class Descriptor:
    """A duplicate of a file descriptor, which a runner sends to the process of a work.

    Args:
        fd: The file descriptor that is duplicated.
        index: Its place among the descriptors of one work.
    """

    def __init__(self, fd: int, index: int) -> None:
        self._fd = os.dup(fd)
        self.index = index

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._fd

    def detach(self) -> int:
        """Return the file descriptor; the caller closes it."""
        fd, self._fd = self._fd, -1
        return fd

    def close(self) -> None:
        """Close the file descriptor, unless that was done."""
        fd = self.detach()
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()  # a request that no runner has taken


def is_in_use() -> bool:
    """Return whether this process may have objects that processes share."""
    return bool(_packages_in_use())


def _packages_in_use() -> list[str]:
    return [
        package for package in PACKAGES if any(f"{package}.{source}" in sys.modules for source in _SOURCES)
    ]


def pack_shared(value: Any, *, with_script: bool = False) -> tuple[bytes, tuple[Descriptor, ...]]:
    """Return `value` as bytes, and the file descriptors that its receiver needs.

    Args:
        value: Any object that `pack` takes. It may hold objects that processes share.
        with_script: Whether the other classes and functions of the script travel, too, if `value` uses some.

    Raises:
        PackingError: It can't travel; the cause is `NotShareable` if another process could not use it.

    Example:
        >>> data, descriptors = pack_shared({"a": 1})
        >>> unpack_shared(data, [descriptor.detach() for descriptor in descriptors])
        {'a': 1}
    """
    packages = _packages_in_use()
    if not packages:
        return pack(value, with_script=with_script), ()
    sharing = _Sharing(packages)
    try:
        with sharing.spawning():
            packed = pack(value, reduce=sharing.reduce, with_script=with_script)
        if not sharing.used:
            return packed, ()
        envelope = _Envelope(os.getpid(), [sharing.describe(package) for package in sharing.used], packed)
    except BaseException:
        sharing.close()
        raise
    return _pickle.dumps(envelope, _PROTOCOL), tuple(sharing.descriptors)


def unpack_shared(data: bytes, fds: Sequence[int]) -> Any:
    """Return the value that `pack_shared` turned into `data`.

    Args:
        data: The bytes.
        fds: The file descriptors, in their order; they are taken over.

    Raises:
        Exception: Any error of the value's own unpickling.
    """
    _received.fds = list(fds)
    try:
        return unpack(data)
    finally:
        for fd in _received.fds:
            if fd >= 0:  # not used, because the unpickling has failed
                os.close(fd)
        del _received.fds


class _Sharing:
    """The means of pickling one value: the "spawning popen" of the packages, and reducers for their objects.

    Args:
        packages: The packages that are in use.

    Attributes:
        descriptors: Duplicates of the file descriptors that were met.
        used: The packages of the objects that were met.
    """

    def __init__(self, packages: list[str]) -> None:
        self._reducers = {package: _reducers_of(package) for package in packages}
        self._processes = _classes(packages, "process", "BaseProcess")
        self._locks = _classes(packages, "synchronize", "SemLock")
        self._numbers: dict[int, int] = {}
        self.descriptors: list[Descriptor] = []
        self.used: dict[str, None] = {}

    @contextmanager
    def spawning(self) -> Iterator[None]:
        """Let the packages take this thread for one that starts a process."""
        contexts = [sys.modules[f"{package}.context"] for package in self._reducers]
        earlier = [context.get_spawning_popen() for context in contexts]
        for context in contexts:
            context.set_spawning_popen(self)
        try:
            yield
        finally:
            for context, popen in zip(contexts, earlier, strict=True):
                context.set_spawning_popen(popen)

    def reduce(self, obj: Any) -> Any:
        """Return how an object that processes share is rebuilt, `NotImplemented` for another one.

        Raises:
            NotShareable: It is of no use in another process.
        """
        kind = type(obj)
        if kind is Descriptor:
            return take, (obj.index,)
        package = _package_of(kind)
        if package not in self._reducers and any(kind in table for table in self._reducers.values()):
            # A number or array of ctypes; if it is in shared memory, it has the package of that.
            package = _package_of(type(vars(obj).get("_wrapper")))
        if package in self._reducers:
            self.used[package] = None
        if isinstance(obj, self._processes):
            raise NotShareable("a process object is of use only in the process that created it")
        for lock in self._locks:
            # A semaphore without a name. Python before 3.11.5 would send its address, which is useless there.
            if isinstance(obj, lock) and obj._semlock.name is None:
                raise NotShareable(
                    "a lock of the fork context is valid only in forked processes, and works are not forked. "
                    f'Create it with {_package_of(lock)}.get_context("spawn")'
                )
        reducer = self._reducers.get(package, {}).get(kind)
        return NotImplemented if reducer is None else reducer(obj)

    def describe(self, package: str) -> tuple[str, bytes, int]:
        """Return a package, its key for connections, and the number of its resource tracker's pipe."""
        key = bytes(sys.modules[f"{package}.process"].current_process().authkey)
        module = sys.modules.get(f"{package}.resource_tracker")
        if module is None or module._resource_tracker._fd is None:
            return package, key, -1  # nothing of this process has to be removed at its end
        # Without it, a process that attaches shared memory starts a tracker of its own, which removes the
        # memory when that process ends.
        return package, key, self.DupFd(module.getfd()).index

    def close(self) -> None:
        """Close the duplicates."""
        for descriptor in self.descriptors:
            descriptor.close()

    # The methods that the packages call of a "spawning popen".

    def duplicate_for_child(self, fd: int) -> int:
        """Return `fd`: `DupFd`, which is called with the result, duplicates it."""
        if sys.platform == "win32":
            raise NotShareable("this system can't pass it to another process")
        return fd

    def DupFd(self, fd: int) -> Descriptor:  # noqa: N802 - the name is multiprocess's
        """Return the duplicate of `fd`; the same one when a value is pickled again, by value."""
        if fd not in self._numbers:
            descriptor = Descriptor(fd, len(self.descriptors))
            self._numbers[fd] = descriptor.index
            self.descriptors.append(descriptor)
        return self.descriptors[self._numbers[fd]]


class _Envelope:
    """A pickled value, and the settings of the receiving process before it is unpickled."""

    def __init__(self, pid: int, packages: list[tuple[str, bytes, int]], packed: bytes) -> None:
        self._fields = pid, packages, packed

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, self._fields


def _reducers_of(package: str) -> dict[type, Any]:
    """Return the functions that pickle the objects of a package, by class."""
    table = sys.modules[f"{package}.reduction"].ForkingPickler(BytesIO()).dispatch_table
    modules = {f"{package}.{name}" for name in _REDUCING}
    return {kind: reducer for kind, reducer in table.items() if getattr(reducer, "__module__", "") in modules}


def _classes(packages: list[str], module: str, name: str) -> tuple[Any, ...]:
    """Return the class that each package has under this name, of those that have loaded the module."""
    return tuple(
        getattr(sys.modules[f"{package}.{module}"], name)
        for package in packages
        if f"{package}.{module}" in sys.modules
    )


def _package_of(kind: type) -> str:
    """Return the first part of the name of the module of a class."""
    module = kind.__module__
    return module.partition(".")[0] if isinstance(module, str) else ""


_received = local()


class _Received:
    """A file descriptor that has arrived; reducers of the packages call `detach`."""

    def __init__(self, index: int) -> None:
        self._index = index

    def detach(self) -> int:
        """Return the file descriptor; the caller closes it."""
        fds: list[int] = _received.fds
        fd, fds[self._index] = fds[self._index], -1
        return fd


def take(index: int) -> _Received:
    """Return one of the file descriptors that `unpack_shared` was given; unpickling calls it."""
    return _Received(index)


def restore(pid: int, packages: list[tuple[str, bytes, int]], packed: bytes) -> Any:
    """Return a value, after its packages were set up as those of the sender; unpickling calls it."""
    if pid != os.getpid():
        for package, key, tracker in packages:
            __import__(f"{package}.process")
            sys.modules[f"{package}.process"].current_process().authkey = key
            if tracker >= 0:
                __import__(f"{package}.resource_tracker")
                # The module has no other way in; `multiprocessing.spawn` does the same.
                sys.modules[f"{package}.resource_tracker"]._resource_tracker._fd = take(tracker).detach()
    return unpack(packed)
