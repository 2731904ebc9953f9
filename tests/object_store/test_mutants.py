"""The tests of races, lost answers and sweeps refuse drives with a mechanism left out.

The histories on one name are no test of the conditions: without them, each write still replaces the one
before. The test of owners refuses that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mutants
import pytest
import test_races_in_a_bucket as races
import test_sweep as sweeps

from lightning_lite.storage.errors import DriveUnreachable

from tests.support.forked_scripts import ForkedScripts
from tests.support.object_proxy import Proxy
from tests.support.object_stores import ObjectServer
from tests.support.store_user import User

#: Most times that processes try to meet; one of the first ten is enough nearly always.
ROUNDS = 30

Mutant = Callable[[pytest.MonkeyPatch], None]
Apply = Callable[[Mutant], None]


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Apply:
    """Apply a mutant to this process, and to those that it starts, until the end of the test."""

    def apply(mutant: Mutant) -> None:
        monkeypatch.setenv(mutants.VARIABLE, mutant.__name__)
        mutant(monkeypatch)

    return apply


@pytest.mark.torture
@pytest.mark.parametrize(
    ("mutant", "faults", "check", "words"),
    [
        (mutants.without_conditions, "none", races.assert_one_owner, r"Counter\(\{\d: [234]"),
        (mutants.without_marks, "lost", races.assert_linearizable, r"\[Operation\("),
        (mutants.reading_two_versions, "none", races.assert_not_torn, "diff: 2 != 1"),
    ],
)
def test_races_refuse(
    forked_scripts: ForkedScripts,
    proxy: Proxy,
    object_server: ObjectServer,
    cache: Path,
    own_place: Path,
    mutate: Apply,
    mutant: Mutant,
    faults: str,
    check: Callable[[ForkedScripts, str, Path, Path], None],
    words: str,
):
    def check_often() -> None:
        for _ in range(ROUNDS):
            check(forked_scripts, object_server.new_url(), cache, own_place)

    mutate(mutant)
    vars(proxy).update(races.FAULTS[faults])
    with pytest.raises(AssertionError, match=words):
        check_often()


def test_lost_answers_refuse_a_change_that_believes_the_refusal(
    user_by_proxy: User, proxy: Proxy, mutate: Apply
):
    mutate(mutants.believing_refusals)
    with pytest.raises(DriveUnreachable, match="The mutant believes"):
        races.test_a_change_whose_answer_is_lost_is_done_once(user_by_proxy, proxy)


def test_sweeps_refuse_the_local_clock(user_by_proxy: User, proxy: Proxy, objects, mutate: Apply):
    mutate(mutants.with_the_local_clock)
    with pytest.raises(AssertionError, match="assert 1 == 0"):
        sweeps.test_the_age_is_measured_by_the_clock_of_the_store(
            user_by_proxy, proxy, objects, 2 * sweeps.WEEK
        )
