"""The socket in the folder of a run, on which other terminals send commands to the app.

    lightning-lite stop train ── a line of JSON ──▶ CommandChannel ── in its thread ──▶ answer(request)
                              ◀── a line of JSON ──

Only processes of the same user are accepted. Requests are JSON: nothing is unpickled. One thread serves all
peers and blocks for none of them; an answer that has to wait for the flow is made in a thread of its own. An
invalid request is answered with an error, or dropped. Nothing on disk
says where the socket is: where the path is too long for a socket, both sides compute the same short one.
"""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

from lightning_lite.errors import CommandError, LightningLiteError
from lightning_lite.polling import wait_between_tries
from lightning_lite.regular_files import kind_of, open_folder

#: Version of the protocol; it is in every line.
VERSION = 1

#: Maximum of bytes of a request; the longest one has the body of a request to the API of an app.
REQUEST_LIMIT = 2 * 1024 * 1024

#: Name of the socket in the folder of the run.
SOCKET_NAME = "commands.sock"

#: The same in a folder for temporary files, whose path has 50 bytes on macOS.
_SHORT_NAME = "socket"

#: Maximum of bytes of the path of a socket; Linux allows 107, macOS 103.
LONGEST_ADDRESS = 100

#: Maximum of bytes of an answer; the answer about a run with 10,000 works has some MiB.
_ANSWER_LIMIT = 64 * 1024 * 1024

_OPEN_FILES = "/proc/self/fd"

_MAX_PEERS = 32
_TIMEOUT = 10.0  # seconds that a peer has to send its request and to read the answer
_RETRY_INTERVAL = 0.01  # seconds until the next attempt to connect to an app that accepts no connection now
_PAUSE = 1.0  # seconds until the next connection is accepted, after there were too many open files
_CHUNK = 64 * 1024
_END_TIMEOUT = 1.0  # seconds for which the end of the channel waits for answers that are being made or read
_CREDENTIALS = struct.Struct("3i")  # process, user, group

#: A request, or the answer to one.
Message = dict[str, Any]


class Later(NamedTuple):
    """An answer that may take long.

    Attributes:
        make: Called in a thread of its own; returns the answer, or raises an error that is sent.
    """

    make: Callable[[], Message]


class CommandChannel:
    """Accepts commands for one run from other processes of the same user while it is open.

    Args:
        folder: Absolute path of the folder of the run, whose lock this process holds.
        answer: Called in the thread of the channel with each request; returns the answer, or how it is made
            later, or raises an error that is sent.

    Raises:
        OSError: The file system does not support sockets, there are too many open files, or something that is
            not a socket has the name of the socket.
        RuntimeError: There are too many threads.
    """

    def __init__(self, folder: str, answer: Callable[[Message], Message | Later]) -> None:
        self._folder = folder
        self._answer = answer
        self._peers: dict[int, _Peer] = {}
        self._lock = Lock()  # held while a thread of an answer or the end of the channel uses its pipe
        self._made: list[tuple[_Peer, bytes]] = []
        self._makers: set[Thread] = set()
        self._is_closed = False
        if not hasattr(socket, "AF_UNIX") or not hasattr(select, "poll"):
            raise OSError("this system has no Unix sockets")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind(self._listener, folder)
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
        """Close the channel, and remove its socket; an answer that is nearly ready is still sent."""
        until = monotonic() + _END_TIMEOUT
        for maker in list(self._makers):
            maker.join(max(0.0, until - monotonic()))
        with self._lock:
            self._is_closed = True
            os.write(self._close, b"!")
        self._thread.join()
        self._give_back()

    def _give_back(self) -> None:
        _remove(self._folder)
        self._listener.close()
        os.close(self._end)
        os.close(self._close)

    # In the thread of the channel.

    def _serve(self) -> None:
        while True:
            dues = [peer.due for peer in self._peers.values() if not peer.is_waiting]
            for fd, _ in self._poller.poll(max(0.0, min(dues) - monotonic()) * 1000 if dues else None):
                if fd == self._end:
                    if b"!" in os.read(self._end, _CHUNK):
                        self._part()
                        return
                    self._hand_out()
                elif fd == self._listener.fileno():
                    self._accept()
                elif fd in self._peers:
                    self._attend(self._peers[fd])
            now = monotonic()
            for peer in [peer for peer in self._peers.values() if peer.due <= now]:
                self._drop(peer)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return  # the peer has closed the connection
        except OSError:  # too many open files
            pause = select.poll()
            pause.register(self._end, select.POLLIN)
            pause.poll(_PAUSE * 1000)
            return
        peer = _Peer(connection)
        if not peer.is_same_user():
            peer.socket.close()
            return
        if len(self._peers) >= _MAX_PEERS:
            # The one that has sent no request for the longest time, so that silent peers shut out no other.
            self._drop(min(self._peers.values(), key=lambda peer: (bool(peer.answer), peer.due)))
        self._peers[connection.fileno()] = peer
        self._poller.register(connection.fileno(), select.POLLIN)

    def _attend(self, peer: _Peer) -> None:
        """Read or write as much as is possible now."""
        try:
            if peer.is_waiting:
                self._drop(peer)  # it has closed the connection
            elif not peer.answer:
                request = peer.read()
                if request is None:
                    return
                peer.answer = self._reply_to(request, peer)
                # A peer that waits is only observed for its end.
                self._poller.modify(peer.socket.fileno(), 0 if peer.is_waiting else select.POLLOUT)
            elif peer.write():
                self._drop(peer)
        except BlockingIOError:
            return
        except OSError:  # the peer has closed the connection
            self._drop(peer)

    def _reply_to(self, line: bytes, peer: _Peer) -> bytes:
        """Return the reply to a request; b"" if a thread makes it."""

        def answer() -> Message:
            if len(line) > REQUEST_LIMIT:
                raise CommandError(f"the line is longer than {REQUEST_LIMIT} bytes")
            found = self._answer(_parse(line))
            if isinstance(found, Later):
                self._start_maker(peer, found)
                return {}
            return found

        reply = _encode_reply(answer)
        return b"" if peer.is_waiting else reply

    def _start_maker(self, peer: _Peer, later: Later) -> None:
        """Start the thread that makes an answer.

        Raises:
            RuntimeError: There are too many threads.
        """

        def make() -> None:
            reply = _encode_reply(later.make)
            with self._lock:
                self._makers.discard(maker)
                if not self._is_closed:
                    self._made.append((peer, reply))
                    os.write(self._close, b"+")

        maker = Thread(target=make, name="lightning-lite-command", daemon=True)
        self._makers.add(maker)
        try:
            maker.start()
        except RuntimeError:
            self._makers.discard(maker)
            raise
        peer.is_waiting, peer.due = True, float("inf")

    def _hand_out(self) -> None:
        """Let the peers have the answers that threads have made."""
        with self._lock:
            made, self._made = self._made, []
        for peer, reply in made:
            fd = peer.socket.fileno()
            if fd >= 0:  # it has not gone
                peer.answer, peer.is_waiting, peer.due = reply, False, monotonic() + _TIMEOUT
                self._poller.modify(fd, select.POLLOUT)

    def _part(self) -> None:
        """Send the answers that are ready, and drop all peers."""
        self._hand_out()
        until = monotonic() + _END_TIMEOUT
        for peer in list(self._peers.values()):
            with suppress(OSError):
                peer.socket.settimeout(max(0.001, until - monotonic()))
                peer.socket.sendall(peer.answer)
            self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        fd = peer.socket.fileno()
        del self._peers[fd]
        self._poller.unregister(fd)
        peer.socket.close()


def _encode_reply(answer: Callable[[], Message]) -> bytes:
    """Return the line with an answer, or with the error that it raises."""
    try:
        reply = {"ok": True, **answer()}
    except LightningLiteError as error:
        reply = {"ok": False, "error": str(error)}
    except Exception as error:  # noqa: BLE001 - a command must never harm the app, nor the channel
        reply = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    return json.dumps({"version": VERSION, **reply}).encode() + b"\n"


class _Peer:
    """One connection: one request and its answer."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.answer = b""
        self.is_waiting = False  # for an answer that a thread makes
        self.due = monotonic() + _TIMEOUT
        self._request = bytearray()
        connection.setblocking(False)

    def is_same_user(self) -> bool:
        """Return whether it is a process of our user; `True` if only the mode of the socket can decide."""
        if not hasattr(socket, "SO_PEERCRED"):
            return True
        credentials = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
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


def ask(folder: str, command: str, patience: float = 10.0, **arguments: Any) -> Message:
    """Send a command to the app that runs in another process, and return its answer.

    Args:
        folder: Absolute path of the folder of the run.
        command: Name of the command.
        patience: Seconds to wait for the answer. The name `timeout` is that of an argument of commands.
        **arguments: Data that JSON can represent.

    Raises:
        CommandError: The request is too long, there is no channel, the app does not answer, or it refuses the
            request.
    """
    run = os.path.basename(folder)
    line = json.dumps({"version": VERSION, "command": command, **arguments}).encode()
    if len(line) > REQUEST_LIMIT:
        # The app would close the connection while this process writes, and give no reason.
        raise CommandError(
            f"run {run} takes commands of at most {REQUEST_LIMIT} bytes, and this one has {len(line)}",
            run=run,
            is_too_long=True,
        )
    due = monotonic() + patience
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address(folder) as address:
            _connect(connection, address, due)
        connection.settimeout(_rest(due))
        connection.sendall(line + b"\n")
        reply = bytearray()
        while not reply.endswith(b"\n"):
            connection.settimeout(_rest(due))
            data = connection.recv(_CHUNK)
            if not data:
                raise CommandError(f"run {run} has closed its command channel without an answer", run=run)
            reply += data
            if len(reply) > _ANSWER_LIMIT:
                raise CommandError(f"run {run} answers with more than {_ANSWER_LIMIT} bytes", run=run)
    except TimeoutError:
        raise CommandError(
            f"run {run} does not answer within {patience:g} s: it hangs, or was suspended (Ctrl-Z)",
            run=run,
            is_late=True,
        ) from None
    except (FileNotFoundError, ConnectionError):
        raise CommandError(
            f"run {run} takes no commands: it is ending, or they are switched off", run=run
        ) from None
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise CommandError(
            f"run {run} can't be reached: {error.strerror or error}{where}", run=run
        ) from error
    finally:
        connection.close()
    answer = _parse(reply)
    if not answer.get("ok"):
        raise CommandError(str(answer.get("error")), run=run)
    return answer


def _connect(connection: socket.socket, address: str, due: float) -> None:
    while True:
        connection.settimeout(_rest(due))
        try:
            connection.connect(address)
        except BlockingIOError:
            # Linux: too many peers wait until the app accepts them, and it may be suspended
            wait_between_tries(_RETRY_INTERVAL)
        else:
            return


def _rest(due: float) -> float:
    """Return the seconds until a moment.

    Raises:
        TimeoutError: It has passed.
    """
    rest = due - monotonic()
    if rest <= 0:
        raise TimeoutError
    return rest


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


def _bind(listener: socket.socket, folder: str) -> None:
    """Create the socket, accessible only by its user; remove the socket of a dead process."""
    with _address(folder, new=True) as address:
        listener.bind(address)
        os.chmod(address, 0o600)  # before `listen`, so no other user can connect
    listener.listen(_MAX_PEERS)


def _remove(folder: str) -> None:
    """Remove the socket of this process, and its folder if that is not the folder of the run."""
    with suppress(OSError), _address(folder) as address:
        os.unlink(address)
        parent = os.path.dirname(address)
        if not os.path.samefile(parent, folder):
            os.rmdir(parent)


@contextmanager
def _address(folder: str, *, new: bool = False) -> Iterator[str]:
    """Yield the path of the socket of a run, or a shorter one for it if that is too long for a socket.

    Args:
        folder: Absolute path of the folder of the run.
        new: Whether to create a new socket, so that there may be none.

    Raises:
        OSError: It is not a socket, or the folder is not there.
    """
    path = os.path.join(folder, SOCKET_NAME)
    fits = len(os.fsencode(path)) <= LONGEST_ADDRESS
    # The app may know the same folder by a longer path.
    if fits and (new or os.path.lexists(path) or os.path.isdir(_OPEN_FILES)):
        _check(path, path, new)
        yield path
    elif os.path.isdir(_OPEN_FILES):
        folder_fd = open_folder(folder)
        try:
            address = f"{_OPEN_FILES}/{folder_fd}/{SOCKET_NAME}"
            _check(address, path, new)
            yield address
        finally:
            os.close(folder_fd)
    else:
        short = _short_folder(folder)
        if new:
            with suppress(FileExistsError):  # of a dead process
                os.mkdir(short, 0o700)
        found = os.lstat(short)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise OSError(errno.EPERM, "it is not a private folder of this user", short)
        address = os.path.join(short, _SHORT_NAME)
        _check(address, address, new)
        yield address


def _short_folder(folder: str) -> str:
    """Return the folder for the socket of a run whose path is too long, named by the numbers of that path."""
    found = os.stat(folder)
    return os.path.join(tempfile.gettempdir(), f"lightning-lite-{found.st_dev:x}-{found.st_ino:x}")


def _check(address: str, path: str, new: bool) -> None:
    """Refuse a thing that is not a socket, such as a link. For a new socket, remove a dead process's.

    Args:
        address: The socket.
        path: Its path, for errors.
        new: Whether to create a new socket there.

    Raises:
        FileNotFoundError: There is none, and `new` is false.
        OSError: It is not a socket.
    """
    try:
        mode = os.lstat(address).st_mode
    except FileNotFoundError:
        if new:
            return
        raise
    if new and (stat.S_ISSOCK(mode) or stat.S_ISLNK(mode)):
        os.unlink(address)  # only the name, and not the target of a link
    elif not stat.S_ISSOCK(mode):
        raise OSError(errno.ENOTSOCK, f"it is {kind_of(mode)}, not a socket", path)
