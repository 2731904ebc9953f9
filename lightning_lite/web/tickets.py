"""Tickets: the right to load one thing once, for links and frames, which can't send the token.

The ticket stands in an address, so it may get into a history; after its use it is worth nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds for which a ticket is valid.
LIFETIME = 60.0

#: Maximum number of tickets that are valid at the same time; the oldest give way.
MAX_TICKETS = 1000


class TicketUsed(Exception):
    """There is no such ticket: it was used, it has expired, or it never existed."""


class Tickets(Generic[T]):
    """Gives tickets, and takes each one once; callable from any thread.

    Args:
        clock: Returns the time in seconds.

    Example:
        >>> tickets = Tickets()
        >>> ticket = tickets.give("report.csv")
        >>> tickets.take(ticket)
        'report.csv'
        >>> tickets.take(ticket)
        Traceback (most recent call last):
            ...
        lightning_lite.web.tickets.TicketUsed
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._given: dict[str, tuple[float, T]] = {}  # the oldest first

    def give(self, thing: T) -> str:
        """Return a new ticket for a thing."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._remove_expired()
            while len(self._given) >= MAX_TICKETS:
                del self._given[next(iter(self._given))]
            self._given[ticket] = (self._clock() + LIFETIME, thing)
        return ticket

    def take(self, ticket: str) -> T:
        """Return the thing of a ticket, which is then no longer valid.

        Raises:
            TicketUsed: There is no such ticket any more.
        """
        with self._lock:
            self._remove_expired()
            if ticket not in self._given:
                raise TicketUsed
            return self._given.pop(ticket)[1]

    def _remove_expired(self) -> None:
        now = self._clock()
        while self._given:
            oldest = next(iter(self._given))
            if self._given[oldest][0] > now:
                return
            del self._given[oldest]
