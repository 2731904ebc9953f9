"""Tickets: one use, one minute, and a bounded number."""

from __future__ import annotations

import pytest

from lightning_lite.web.tickets import LIFETIME, MAX_TICKETS, Tickets, TicketUsed

pytestmark = pytest.mark.dependencies


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def is_valid(tickets: Tickets[str], ticket: str) -> bool:
    try:
        tickets.take(ticket)
    except TicketUsed:
        return False
    return True


def test_a_ticket_is_taken_once():
    tickets = Tickets[str]()
    one, other = tickets.give("one"), tickets.give("other")

    assert tickets.take(one) == "one"
    assert not is_valid(tickets, one)
    assert tickets.take(other) == "other"


def test_a_ticket_expires_after_a_minute():
    clock = Hands()
    tickets = Tickets[str](clock)
    early, late = tickets.give("early"), tickets.give("late")

    clock.now = LIFETIME - 0.001
    assert is_valid(tickets, early)
    clock.now = LIFETIME
    assert not is_valid(tickets, late)


def test_expired_tickets_are_forgotten():
    clock = Hands()
    tickets = Tickets[str](clock)
    for _ in range(10):
        tickets.give("thing")
    clock.now = LIFETIME
    tickets.give("new")

    assert len(tickets._given) == 1


def test_the_oldest_tickets_give_way_to_new_ones():
    tickets = Tickets[str]()
    given = [tickets.give(str(number)) for number in range(MAX_TICKETS + 2)]

    assert [is_valid(tickets, ticket) for ticket in given[:3]] == [False, False, True]
    assert is_valid(tickets, given[-1])


def test_tickets_can_not_be_guessed():
    tickets = Tickets[str]()
    given = {tickets.give("thing") for _ in range(100)}

    assert len(given) == 100
    assert all(len(ticket) == 32 for ticket in given)
    assert not is_valid(tickets, "")
