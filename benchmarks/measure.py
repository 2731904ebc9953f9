"""One measure: ours, its limit and the peers, measured in turns, and whether the goal is reached."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.programs import NoFigure

#: How often a limit is measured again in a round whose ratio can't be true.
_REPEATS = 3


def nothing_to_end() -> None:
    """End a measure without shared state."""


class Measure(NamedTuple):
    """The definition of a measure: what is compared with what, and the goal.

    Attributes:
        name: Short name, as in `P4`.
        what: What is measured.
        limit_name: What it is compared with.
        unit: Unit of both figures.
        goal: The highest accepted ratio of ours to the limit; with `difference`, the highest difference.
        ours: Measures one figure of ours.
        limit: Measures one figure of the limit.
        rounds: How often all are measured.
        difference: Whether the goal is about `ours - limit` instead of `ours / limit`.
        lowest: The lowest ratio that can be true, because ours does all that the limit does. Below it, other
            programs have slowed down the limit.
        peer: Name of the function in `benchmarks.peers` that does the same with a peer, in the same unit.
        end: Ends programs that the rounds share.
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
    lowest: float = 0.0
    peer: str = ""
    end: Callable[[], None] = nothing_to_end


class Outcome(NamedTuple):
    """The figures of all rounds.

    Attributes:
        ours: One figure of ours per round.
        limits: The limit's figure of the same round.
        scores: The ratio or the difference of each round, to which the goal applies.
        peers: The figures of each peer, one per round; an empty list for a peer that failed.
    """

    ours: list[float]
    limits: list[float]
    scores: list[float]
    peers: dict[str, list[float]]


def take(measure: Measure, peers: Mapping[str, Callable[[], float]]) -> Outcome:
    """Measure all figures in turns; each round starts with another one."""
    takers = {"ours": measure.ours, "limit": measure.limit, **peers}
    figures: dict[str, list[float]] = {name: [] for name in takers}
    for number in range(measure.rounds):
        names = list(takers)
        first = number % len(names)
        for name in names[first:] + names[:first]:
            try:
                figures[name].append(takers[name]())
            except NoFigure as error:
                if name not in peers:
                    raise
                print(f"{measure.name}: {name} has no figure: {error}", file=sys.stderr)
                del takers[name]
                figures[name] = []
        figures["limit"][-1] = _plausible_limit(measure, figures["ours"][-1], figures["limit"][-1])
    ours, limits = figures.pop("ours"), figures.pop("limit")
    pairs = zip(ours, limits, strict=True)
    scores = [mine - limit if measure.difference else mine / limit for mine, limit in pairs]
    return Outcome(ours, limits, scores, figures)


def _plausible_limit(measure: Measure, ours: float, limit: float) -> float:
    """Measure the limit again if the ratio of a round is too low; return its lowest figure."""
    for _ in range(_REPEATS):
        if ours >= measure.lowest * limit:
            break
        limit = min(limit, measure.limit())
    return limit


def spread(figures: list[float], digits: int = 3) -> str:
    """Return the median with minimum and maximum."""
    middle, low, high = statistics.median(figures), min(figures), max(figures)
    return f"{middle:.{digits}g} ({low:.{digits}g} to {high:.{digits}g})"
