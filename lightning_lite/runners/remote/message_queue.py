"""Numbered messages over calls that may get lost or be repeated: each one arrives once, and in order.

SendQueue   1 2 3 4 5        keeps messages until the other side has acknowledged them
              └─────┘ batch ──▶ ReceiveQueue: drops repeated messages, keeps those that come too early
            ◀── acknowledged: 5
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable
from itertools import islice
from threading import Lock
from typing import Any

#: Maximum of messages in a batch.
_BATCH = 256


class SendQueue:
    """The messages to the other side; its methods are callable from any thread.

    Attributes:
        last: Number of the newest message; the first one has the number 1.
        acknowledged: Number of the newest message that the other side has.

    Example:
        >>> sent, received = SendQueue(), ReceiveQueue()
        >>> sent.put("a"), sent.put("b")
        (1, 2)
        >>> batch, last = sent.batch()
        >>> received.accept(batch), received.accept(batch), received.received, last
        (['a', 'b'], [], 2, 2)
        >>> sent.acknowledge(received.received)
        >>> sent.batch() is None
        True
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: deque[Any] = deque()
        self.last = 0
        self.acknowledged = 0

    def put(self, *messages: Any) -> int:
        """Keep messages until they are acknowledged, and return the number of the last one."""
        with self._lock:
            self._kept += messages
            self.last += len(messages)
            return self.last

    def acknowledge(self, number: int) -> None:
        """Drop all messages up to a number."""
        with self._lock:
            while self.acknowledged < min(number, self.last):
                self._kept.popleft()
                self.acknowledged += 1

    def batch(self, after: int = 0) -> tuple[bytes, int] | None:
        """Return the next kept messages with a number above `after`; `None` if there are none.

        Returns:
            The packed messages, and the number of the last one of them.
        """
        with self._lock:
            after = max(after, self.acknowledged)
            first = after - self.acknowledged
            messages = list(islice(self._kept, first, first + _BATCH))
        return (pickle.dumps((after + 1, messages), 5), after + len(messages)) if messages else None


class ReceiveQueue:
    """The messages from the other side; used by one thread at a time.

    Attributes:
        received: Number of the newest message before which none is missing.
    """

    def __init__(self) -> None:
        self._early: dict[int, Any] = {}
        self.received = 0

    def accept(self, batch: bytes) -> list[Any]:
        """Return the messages of a batch that are new, and earlier ones that had to wait for them."""
        first: int
        messages: Iterable[Any]
        first, messages = pickle.loads(batch)
        for number, message in enumerate(messages, first):
            if number > self.received:
                self._early[number] = message
        fresh = []
        while (message := self._early.pop(self.received + 1, None)) is not None:
            self.received += 1
            fresh.append(message)
        return fresh
