"""The socket in the folder of a run, on which other terminals send commands to the app.

    lightning-lite stop train ── a line of JSON ──▶ CommandChannel ── in its thread ──▶ answer(request)
                              ◀── a line of JSON ──

Only processes of the same user are accepted. Requests are JSON: nothing is unpickled. One thread serves all
peers and blocks for none of them; an invalid request is answered with an error, or dropped.
"""

from __future__ import annotations

import _socket  # socket itself would cost each app 10 ms
import json
import os
import select
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from time import monotonic
from typing import Any

from lightning_lite.errors import CommandError, LightningLiteError

#: Version of the protocol; it is in every line.
VERSION = 1

#: Maximum of bytes of a request; the longest one has some hundred.
REQUEST_LIMIT = 64 * 1024

#: Name of the socket in the folder of the run.
SOCKET_NAME = "commands.sock"

#: Maximum of bytes of the path of a socket; Linux allows 107, macOS 103.
LONGEST_ADDRESS = 100

_MAX_PEERS = 32
_TIMEOUT = 10.0  # seconds that a peer has to send its request and to read the answer
_PAUSE = 1.0  # seconds until the next connection is accepted, after there were too many open files
_CHUNK = 64 * 1024
_CREDENTIALS = struct.Struct("3i")  # process, user, group

#: A request, or the answer to one.
Message = dict[str, Any]


class CommandChannel:
    """Accepts commands for one run from other processes of the same user while it is open.

    Args:
        folder: Absolute path of the folder of the run, whose lock this process holds.
        answer: Called in the thread of the channel with each request; returns the answer, or raises an error
            that is sent.

    Raises:
        OSError: The file system does not support sockets, or there are too many open files.
        RuntimeError: There are too many threads.
    """

    def __init__(self, folder: str, answer: Callable[[Message], Message]) -> None:
        self._path = os.path.join(folder, SOCKET_NAME)
        self._answer = answer
        self._peers: dict[int, _Peer] = {}
        if not hasattr(_socket, "AF_UNIX") or not hasattr(select, "poll"):
            raise OSError("this system has no Unix sockets")
        self._listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            _bind(self._listener, self._path)
            self._listener.setblocking(False)
            self._end, self._close = os.pipe()
        except BaseException:
            self._listener.close()
            raise
        self._poller = select.poll()
        self._poller.register(self._end, select.POLLIN)
        self._poller.register(self._listener.fileno(), select.POLLIN)
        self._thread = Thread(target=self._serve, name="lightning-lite-commands", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._give_back()
            raise

    def close(self) -> None:
        """Close the channel, and remove its socket."""
        os.write(self._close, b"!")
        self._thread.join()
        self._give_back()

    def _give_back(self) -> None:
        _remove(self._path)
        self._listener.close()
        os.close(self._end)
        os.close(self._close)

    # In the thread of the channel.

    def _serve(self) -> None:
        while True:
            dues = [peer.due for peer in self._peers.values()]
            for fd, _ in self._poller.poll(max(0.0, min(dues) - monotonic()) * 1000 if dues else None):
                if fd == self._end:
                    for peer in list(self._peers.values()):
                        self._drop(peer)
                    return
                if fd in self._peers:
                    self._attend(self._peers[fd])
                else:
                    self._accept()
            now = monotonic()
            for peer in [peer for peer in self._peers.values() if peer.due <= now]:
                self._drop(peer)

    def _accept(self) -> None:
        try:
            fd, _ = self._listener._accept()  # type: ignore[attr-defined] # what socket.accept calls
        except BlockingIOError:
            return  # the peer has closed the connection
        except OSError:  # too many open files
            pause = select.poll()
            pause.register(self._end, select.POLLIN)
            pause.poll(_PAUSE * 1000)
            return
        peer = _Peer(_socket.socket(fileno=fd))
        if len(self._peers) < _MAX_PEERS and peer.is_same_user():
            self._peers[fd] = peer
            self._poller.register(fd, select.POLLIN)
        else:
            peer.socket.close()

    def _attend(self, peer: _Peer) -> None:
        """Read or write as much as is possible now."""
        try:
            if not peer.answer:
                request = peer.read()
                if request is None:
                    return
                peer.answer = self._reply_to(request)
                self._poller.modify(peer.socket.fileno(), select.POLLOUT)
            elif peer.write():
                self._drop(peer)
        except BlockingIOError:
            return
        except OSError:  # the peer has closed the connection
            self._drop(peer)

    def _reply_to(self, line: bytes) -> bytes:
        try:
            if len(line) > REQUEST_LIMIT:
                raise CommandError(f"the line is longer than {REQUEST_LIMIT} bytes")
            reply = {"ok": True, **self._answer(_parse(line))}
        except LightningLiteError as error:
            reply = {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - a command must never harm the app, nor the channel
            reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        return json.dumps({"version": VERSION, **reply}).encode() + b"\n"

    def _drop(self, peer: _Peer) -> None:
        fd = peer.socket.fileno()
        del self._peers[fd]
        self._poller.unregister(fd)
        peer.socket.close()


class _Peer:
    """One connection: one request and its answer."""

    def __init__(self, connection: _socket.socket) -> None:
        self.socket = connection
        self.answer = b""
        self.due = monotonic() + _TIMEOUT
        self._request = bytearray()
        connection.setblocking(False)

    def is_same_user(self) -> bool:
        """Return whether it is a process of our user; `True` if only the mode of the socket can decide."""
        if not hasattr(_socket, "SO_PEERCRED"):
            return True
        credentials = self.socket.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(credentials)
        return bool(uid == os.geteuid())

    def read(self) -> bytes | None:
        """Return the request if it is complete or too long, else `None`.

        Raises:
            OSError: The peer has closed the connection.
        """
        data = self.socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError
        self._request += data
        line, newline, _ = self._request.partition(b"\n")
        return bytes(line) if newline or len(line) > REQUEST_LIMIT else None

    def write(self) -> bool:
        """Write as much as the connection accepts; return whether all is out."""
        self.answer = self.answer[self.socket.send(self.answer) :]
        return not self.answer


def ask(folder: str, command: str, timeout: float = 10.0, **arguments: Any) -> Message:
    """Send a command to the app that runs in another process, and return its answer.

    Args:
        folder: Absolute path of the folder of the run.
        command: Name of the command.
        timeout: Seconds to wait for the answer.
        **arguments: Data that JSON can represent.

    Raises:
        CommandError: There is no channel, the app does not answer, or it refuses the request.
    """
    run = os.path.basename(folder)
    request = json.dumps({"version": VERSION, "command": command, **arguments}).encode() + b"\n"
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        with _short(os.path.join(folder, SOCKET_NAME)) as address:
            connection.connect(address)
        connection.sendall(request)
        line = bytearray()
        while not line.endswith(b"\n"):
            data = connection.recv(_CHUNK)
            if not data:
                raise CommandError(f"run {run} has closed its command channel without an answer", run=run)
            line += data
    except TimeoutError:
        raise CommandError(
            f"run {run} does not answer within {timeout:g} s: it hangs, or was suspended (Ctrl-Z)", run=run
        ) from None
    except (FileNotFoundError, ConnectionError):
        raise CommandError(
            f"run {run} takes no commands: it is ending, or they are switched off", run=run
        ) from None
    except OSError as error:
        raise CommandError(f"run {run} can't be reached: {error.strerror or error}", run=run) from error
    finally:
        connection.close()
    answer = _parse(line)
    if not answer.get("ok"):
        raise CommandError(str(answer.get("error")), run=run)
    return answer


def _parse(line: bytes | bytearray) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise CommandError("the line is not JSON") from None
    if not isinstance(message, dict) or message.get("version") != VERSION:
        found = message.get("version") if isinstance(message, dict) else None
        raise CommandError(f"version {found!r} of the protocol is not known here, only {VERSION}")
    return message


# The path of the socket.


def _bind(listener: _socket.socket, path: str) -> None:
    """Create the socket, accessible only by its user; remove that of a dead process."""
    _remove(path)
    with _short(path, new=True) as address:
        listener.bind(address)
        os.chmod(address, 0o600)  # before `listen`, so no other user can connect
    listener.listen(_MAX_PEERS)


def _remove(path: str) -> None:
    with suppress(OSError):
        if os.path.islink(path):
            elsewhere = os.readlink(path)
            os.unlink(path)
            os.unlink(elsewhere)
            os.rmdir(os.path.dirname(elsewhere))
        else:
            os.unlink(path)


@contextmanager
def _short(path: str, *, new: bool = False) -> Iterator[str]:
    """Yield a name for `path` that is short enough for a socket."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield path
    elif os.path.isdir("/proc/self/fd"):
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{SOCKET_NAME}"
        finally:
            os.close(folder)
    else:
        if new:
            import tempfile  # noqa: PLC0415 - 10 ms that only a long path on such a system has to pay

            os.symlink(os.path.join(tempfile.mkdtemp(prefix="lightning-lite-"), "socket"), path)
        yield os.readlink(path)
