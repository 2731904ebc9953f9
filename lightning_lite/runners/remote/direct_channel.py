"""The connection of our own between main process and server, which is faster than calls of a cluster.

    main process ── call `open_direct` with a key ──▶ server     the key is used once, and never sent here
                 ── connects, empty frame ──────────▶ listener   closed after the first with the right code
                 ◀──────────── frames ─────────────▶

    frame: │ 8 bytes: size of the body │ 32 bytes: code │ body │
    body:  │ 8 bytes: number of the newest message that has arrived │ batch, or nothing │

The code is the HMAC-SHA256 of direction, number of the frame, size and body. A frame with another code ends
the connection before anything in it is unpickled, so does one that is repeated, left out or sent back. It
does not hide the content.

Messages have numbers, see `message_queue`, so both ways are one stream. When this connection ends, calls go
on.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import socket
import threading
from collections.abc import Callable
from time import monotonic

from lightning_lite.sockets import family_of

_SIZE = 8
_CODE = 32
_HEADER = _SIZE + _CODE

#: Bytes that are read at once: memory grows with the bytes that have arrived, not with a size in a header.
#: For more than 128 KiB, each read would cost 15 µs more, because the system gives and takes the memory of
#: the buffer.
_READ_SIZE = 1 << 16

#: Bytes of a body from which on its code is computed without a copy.
_BIG = 1 << 20

#: Seconds that the server waits for the main process, and for the rest of the first frame of a process that
#: connects.
_ACCEPT_TIMEOUT = 10.0
_HELLO_TIMEOUT = 2.0

#: The two directions.
MAIN, SERVER = b"main", b"server"


class DirectError(Exception):
    """A frame is not from the other side, or not the next one."""


class Sealer:
    """Adds the code to outgoing frames of one connection.

    Args:
        key: The key.
        sender: `MAIN` or `SERVER`.

    Example:
        >>> sealer, opener = Sealer(b"key", MAIN), Opener(b"key", MAIN)
        >>> frame = sealer.seal(b"body")
        >>> opener.feed(frame[:20]), opener.feed(frame[20:])
        ([], [b'body'])
        >>> opener.feed(frame)
        Traceback (most recent call last):
          ...
        lightning_lite.runners.remote.direct_channel.DirectError: frame 2 has a wrong code
    """

    def __init__(self, key: bytes, sender: bytes) -> None:
        self._key = key
        self._sender = sender
        self._number = 0

    def seal(self, body: bytes) -> bytes:
        """Return the next frame."""
        self._number += 1
        return b"".join(
            (len(body).to_bytes(_SIZE, "big"), _code(self._key, self._sender, self._number, body), body)
        )


class Opener:
    """Checks incoming frames of one connection.

    Args:
        key: The key.
        sender: `MAIN` or `SERVER`.
    """

    def __init__(self, key: bytes, sender: bytes) -> None:
        self._key = key
        self._sender = sender
        self._number = 0
        self._data = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies of the frames that `data` completes.

        Raises:
            DirectError: A frame is not the next one of the sender.
        """
        self._data += data
        bodies = []
        while len(self._data) >= _HEADER:
            end = _HEADER + int.from_bytes(self._data[:_SIZE], "big")
            if len(self._data) < end:
                break
            self._number += 1
            with memoryview(self._data) as view:
                code, body = bytes(view[_SIZE:_HEADER]), bytes(view[_HEADER:end])
            if not hmac.compare_digest(code, _code(self._key, self._sender, self._number, body)):
                raise DirectError(f"frame {self._number} has a wrong code")
            del self._data[:end]
            bodies.append(body)
        return bodies


def _code(key: bytes, sender: bytes, number: int, body: bytes) -> bytes:
    prefix = sender + number.to_bytes(8, "big") + len(body).to_bytes(8, "big")
    if len(body) < _BIG:
        return hmac.digest(key, prefix + body, "sha256")  # quicker, but it copies the body
    code = hmac.new(key, prefix, "sha256")
    code.update(body)
    return code.digest()


def pack_body(received: int, batch: bytes | None) -> bytes:
    """Return the body of a frame."""
    return received.to_bytes(8, "big") + (batch or b"")


def split_body(body: bytes) -> tuple[int, bytes | None]:
    """Return the two arguments of `pack_body`."""
    return int.from_bytes(body[:8], "big"), body[8:] or None


class DirectServer:
    """The end of the server.

    A thread listens for the main process; then one thread of the server reads and writes.

    Args:
        address: Address of this machine on which the main process reaches it.
        key: The key.
        next_body: Returns the body of the next frame, or `None` if there is nothing to send now.
        on_change: Called in the thread that listens, when the main process has come, or none has.

    Attributes:
        port: Where it listens.
        key: See above.
        connection: The connection to the main process; `None` before and after it.
        is_over: Whether there will be no connection any more.
        fd: For writing, a file descriptor of its own: one that is watched for reading can't be watched twice.

    Raises:
        OSError: It can't listen there.
    """

    def __init__(
        self,
        address: str,
        key: bytes,
        next_body: Callable[[], bytes | None],
        on_change: Callable[[], None],
    ) -> None:
        self._opener = Opener(key, MAIN)
        self._sealer = Sealer(key, SERVER)
        self.key = key
        self._next_body = next_body
        self._on_change = on_change
        self._rest = memoryview(b"")
        self._listener = socket.create_server((address, 0), family=family_of(address))
        self.port: int = self._listener.getsockname()[1]
        self.connection: socket.socket | None = None
        self.is_over = False
        self.fd = -1
        threading.Thread(target=self._listen, name="lightning-lite-direct", daemon=True).start()

    def read(self) -> list[bytes] | None:
        """Return the bodies of the frames that have arrived, without waiting; `None` at the end."""
        assert self.connection is not None
        try:
            data = self.connection.recv(_READ_SIZE)
            return self._opener.feed(data) if data else None
        except BlockingIOError:
            return []
        except (OSError, DirectError):
            return None

    def push(self) -> bool:
        """Send as much as the connection accepts; return whether everything is out."""
        connection = self.connection
        while connection is not None:
            if not self._rest:
                body = self._next_body()
                if body is None:
                    break
                self._rest = memoryview(self._sealer.seal(body))
            try:
                self._rest = self._rest[connection.send(self._rest) :]
            except BlockingIOError:
                return False
            except OSError:
                break  # `read` says it, too
        return True

    def end(self) -> None:
        """Make the connection end; callable from any thread, the thread that reads sees it."""
        self.is_over = True
        connection = self.connection
        for one in (self._listener, connection):
            try:
                if one is not None:
                    one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed or not connected

    def close(self) -> None:
        """Close the connection, in the thread that reads."""
        self.is_over = True
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
            os.close(self.fd)

    def _listen(self) -> None:
        try:
            with self._listener:
                connection = self._accept()
        except OSError:
            connection = None
        if connection is None:
            self.is_over = True
        else:
            self.fd = os.dup(connection.fileno())
            self.connection = connection
        self._on_change()

    def _accept(self) -> socket.socket | None:
        """Return the connection of the main process; close other connections, and wait for the next."""
        until = monotonic() + _ACCEPT_TIMEOUT
        while (left := until - monotonic()) > 0:
            self._listener.settimeout(left)
            connection, _ = self._listener.accept()
            connection.settimeout(_HELLO_TIMEOUT)
            try:
                hello = connection.recv(_HEADER, socket.MSG_WAITALL)
                if len(hello) == _HEADER and self._opener.feed(hello) == [b""]:
                    connection.setblocking(False)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return connection
            except (OSError, DirectError):
                pass
            self._opener = Opener(self.key, MAIN)
            connection.close()
        return None


class DirectClient:
    """The end of the main process. A loop of asyncio reads; any thread sends.

    Args:
        loop: The loop.
        key: The key.
        on_body: Takes the body of each frame, in the loop.
        on_end: Called once in the loop, when the connection has ended.

    Attributes:
        num_received: Bytes that have come.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        key: bytes,
        on_body: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._sealer = Sealer(key, MAIN)
        self._opener = Opener(key, SERVER)
        self._on_body = on_body
        self._on_end = on_end
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._rest = bytearray()
        self.num_received = 0

    async def connect(self, address: str, port: int) -> None:
        """Connect and say hello.

        Raises:
            OSError: It is not possible.
        """
        connection = socket.socket(family_of(address), socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            await self._loop.sock_connect(connection, (address, port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        self._loop.add_reader(connection, self._read)
        self.send(b"")

    @property
    def num_unsent(self) -> int:
        """Bytes that the system has not taken yet."""
        return len(self._rest)

    def send(self, body: bytes) -> bool:
        """Send a frame, from any thread; return whether the connection has not ended."""
        with self._lock:
            if self._socket is None:
                return False
            frame = self._sealer.seal(body)
            is_full = bool(self._rest)
            if not is_full:
                try:
                    sent = self._socket.send(frame)
                except BlockingIOError:
                    sent = 0
                except OSError:
                    return True  # `_read` sees the end, and unacknowledged messages are sent in another way
                if sent == len(frame):
                    return True
                frame = frame[sent:]
            self._rest += frame
        if not is_full:
            self._loop.call_soon_threadsafe(self._wait_until_writable)
        return True

    def end(self) -> None:
        """End the connection at once, in the loop."""
        with self._lock:
            connection, self._socket = self._socket, None
        if connection is not None:
            self._loop.remove_reader(connection)
            self._loop.remove_writer(connection)
            connection.close()
            self._on_end()

    def _read(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(_READ_SIZE)
            if not data:
                raise ConnectionResetError
            self.num_received += len(data)
            bodies = self._opener.feed(data)
        except BlockingIOError:
            return
        except (OSError, DirectError):
            self.end()
            return
        for body in bodies:
            self._on_body(body)

    def _wait_until_writable(self) -> None:
        if self._socket is not None:
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        with self._lock:
            if self._socket is None:
                return
            try:
                sent = self._socket.send(self._rest)
            except BlockingIOError:
                return
            except OSError:
                sent = len(self._rest)  # `_read` sees the end
            del self._rest[:sent]
            if not self._rest:
                self._loop.remove_writer(self._socket)
