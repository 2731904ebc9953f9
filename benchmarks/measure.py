"""One measure: ours and its limit, taken in turns, and what became of the goal."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import NamedTuple


class Measure(NamedTuple):
    """What is measured, against what, and how good it shall be.

    Attributes:
        name: Short name, as in `P4`.
        what: What is measured.
        limit_name: What it is compared with.
        unit: Unit of both figures.
        goal: The biggest good ratio of ours to the limit; with `difference`, the biggest good difference.
        ours: Takes one figure of ours.
        limit: Takes one figure of the limit.
        rounds: How often both are taken.
        difference: Whether the goal is about `ours - limit` in place of `ours / limit`.
        peer: Name of the function in `benchmarks.peers` that does the same with a peer, in the same unit.
    """

    name: str
    what: str
    limit_name: str
    unit: str
    goal: float
    ours: Callable[[], float]
    limit: Callable[[], float]
    rounds: int = 7
    difference: bool = False
    peer: str = ""


class Outcome(NamedTuple):
    """The figures of all rounds.

    Attributes:
        ours: One figure of ours per round.
        limits: The limit's figure of the same round.
        scores: What the goal is about, per round: the ratio or the difference.
    """

    ours: list[float]
    limits: list[float]
    scores: list[float]


def take(measure: Measure) -> Outcome:
    """Take both figures in turns; the side that goes first changes from round to round."""
    ours, limits = [], []
    for round_number in range(measure.rounds):
        if round_number % 2:
            limits.append(measure.limit())
            ours.append(measure.ours())
        else:
            ours.append(measure.ours())
            limits.append(measure.limit())
    pairs = zip(ours, limits, strict=True)
    scores = [mine - limit if measure.difference else mine / limit for mine, limit in pairs]
    return Outcome(ours, limits, scores)


def spread(figures: list[float], digits: int = 3) -> str:
    """Return the median with minimum and maximum."""
    middle, low, high = statistics.median(figures), min(figures), max(figures)
    return f"{middle:.{digits}g} ({low:.{digits}g} to {high:.{digits}g})"
