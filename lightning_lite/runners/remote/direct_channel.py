"""The connection of our own between driver and server, which is faster than calls of an engine.

    driver ── call `open_direct` with a key ──▶ server       the key is used once, and never sent here
           ── connects, empty frame ──────────▶ listener     closed after the first one with the right code
           ◀──────────── frames ─────────────▶

    frame: │ 8 bytes: size of the body │ 32 bytes: code │ body │
    body:  │ 8 bytes: number of the newest message that has arrived │ batch, or nothing │

The code is the HMAC-SHA256 of direction, number of the frame, size and body. A frame with another code ends
the connection before anything in it is unpickled, so does one that is repeated, left out or sent back. It
does not hide the content.

Messages have numbers, see `numbered`, so both ways are one stream. When this connection ends, calls go on.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import threading
from collections.abc import Callable
from time import monotonic

_SIZE = 8
_CODE = 32
_HEADER = _SIZE + _CODE

#: Bytes that are read at once: memory grows with what has arrived, not with what a header says.
_CHUNK = 1 << 20

#: Seconds that the server waits for the driver, and for the rest of the first frame of one that connects.
_ACCEPT_TIMEOUT = 10.0
_HELLO_TIMEOUT = 2.0

#: The two directions.
DRIVER, SERVER = b"driver", b"server"


class DirectError(Exception):
    """A frame is not from the other side, or not the next one."""


class Sealer:
    """Adds the code to outgoing frames of one connection.

    Args:
        key: The key.
        sender: `DRIVER` or `SERVER`.

    Example:
        >>> sealer, opener = Sealer(b"key", DRIVER), Opener(b"key", DRIVER)
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
        sender: `DRIVER` or `SERVER`.
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
            code, body = bytes(self._data[_SIZE:_HEADER]), bytes(self._data[_HEADER:end])
            if not hmac.compare_digest(code, _code(self._key, self._sender, self._number, body)):
                raise DirectError(f"frame {self._number} has a wrong code")
            del self._data[:end]
            bodies.append(body)
        return bodies


def _code(key: bytes, sender: bytes, number: int, body: bytes) -> bytes:
    prefix = sender + number.to_bytes(8, "big") + len(body).to_bytes(8, "big")
    return hmac.digest(key, prefix + body, "sha256")


def pack_body(received: int, batch: bytes | None) -> bytes:
    """Return the body of a frame."""
    return received.to_bytes(8, "big") + (batch or b"")


def split_body(body: bytes) -> tuple[int, bytes | None]:
    """Return what `pack_body` was given."""
    return int.from_bytes(body[:8], "big"), body[8:] or None


class DirectServer:
    """The end of the server: listens for one driver, then reads and writes in two threads.

    Args:
        address: Address of this machine on which the driver reaches it.
        key: The key.
        on_body: Takes the body of each frame, in the thread that reads.
        next_body: Waits for the body of the next frame, and returns it; `None` ends the connection.
        on_end: Called once, when the connection has ended or no driver has come.

    Raises:
        OSError: It can't listen there.
    """

    def __init__(
        self,
        address: str,
        key: bytes,
        on_body: Callable[[bytes], None],
        next_body: Callable[[DirectServer], bytes | None],
        on_end: Callable[[DirectServer], None],
    ) -> None:
        self._opener = Opener(key, DRIVER)
        self._key = key
        self._on_body = on_body
        self._next_body = next_body
        self._on_end = on_end
        self._socket: socket.socket | None = None
        self._listener = socket.create_server((address, 0))
        self.port: int = self._listener.getsockname()[1]
        self.is_connected = False
        threading.Thread(target=self._run, name="lightning_lite direct", daemon=True).start()

    def end(self) -> None:
        """End the connection; callable from any thread."""
        self._listener.close()
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed already

    def _run(self) -> None:
        try:
            with self._listener:
                connection = self._accept()
            if connection is not None:
                with connection:
                    self._serve(connection)
        except (OSError, DirectError):
            pass  # calls go on
        finally:
            self.is_connected = False
            self._on_end(self)

    def _accept(self) -> socket.socket | None:
        """Return the connection of the driver; those of others are closed, and another one is waited for."""
        until = monotonic() + _ACCEPT_TIMEOUT
        while (left := until - monotonic()) > 0:
            self._listener.settimeout(left)
            connection, _ = self._listener.accept()
            connection.settimeout(_HELLO_TIMEOUT)
            try:
                hello = connection.recv(_HEADER, socket.MSG_WAITALL)
                if len(hello) == _HEADER and self._opener.feed(hello) == [b""]:
                    connection.settimeout(None)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return connection
            except (OSError, DirectError):
                pass
            self._opener = Opener(self._key, DRIVER)
            connection.close()
        return None

    def _serve(self, connection: socket.socket) -> None:
        self._socket = connection
        self.is_connected = True
        writer = threading.Thread(
            target=self._write, args=(connection,), name="lightning_lite direct writer", daemon=True
        )
        writer.start()
        while data := connection.recv(_CHUNK):
            for body in self._opener.feed(data):
                self._on_body(body)

    def _write(self, connection: socket.socket) -> None:
        sealer = Sealer(self._key, SERVER)
        try:
            while (body := self._next_body(self)) is not None:
                connection.sendall(sealer.seal(body))
        except OSError:
            pass  # the thread that reads sees it, too
        self.end()


class DirectClient(asyncio.Protocol):
    """The end of the driver, in a loop of asyncio.

    Args:
        key: The key.
        on_body: Takes the body of each frame.
        on_end: Called once, when the connection has ended.

    Attributes:
        num_received: Bytes that have come.
    """

    def __init__(self, key: bytes, on_body: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._sealer = Sealer(key, DRIVER)
        self._opener = Opener(key, SERVER)
        self._on_body = on_body
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self.num_received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(self._sealer.seal(b""))

    def data_received(self, data: bytes) -> None:
        """Take the bodies of frames."""
        self.num_received += len(data)
        try:
            for body in self._opener.feed(data):
                self._on_body(body)
        except DirectError:
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self._transport = None
        self._on_end()

    @property
    def num_unsent(self) -> int:
        """Bytes that the system has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, body: bytes) -> None:
        """Send a frame."""
        if self._transport is not None:
            self._transport.write(self._sealer.seal(body))

    def end(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
