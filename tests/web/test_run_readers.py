"""The readers that all requests share: their share of the time, their number, and when they are forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.testing import poll_until
from lightning_lite.web import run_readers as module
from lightning_lite.web.run_readers import MAX_READERS, Budget, RunReaders

from tests.support.processes import DEADLINE
from tests.support.run_folders import make_run_folder, runs_folder

pytestmark = pytest.mark.dependencies


class Double(LightningWork):
    def __init__(self) -> None:
        super().__init__(cache_calls=True)

    def run(self, number: int) -> int:
        return 2 * number


class Many(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.double = Double()

    def run(self) -> None:
        for number in range(300):
            self.double.run(number)
        self.stop()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """A run with 300 calls that has ended."""
    root = tmp_path_factory.mktemp("many")
    LightningApp(Many(), root_dir=root).run(runner="inline")
    [found] = read_runs(str(root))
    return found


def wait_until_quiet() -> None:
    """Wait until no thread of a follower is left."""
    poll_until(
        lambda: not [each for each in threading.enumerate() if each.name.startswith("lightning-lite-page")],
        DEADLINE,
    )


@pytest.fixture
def readers() -> Iterator[RunReaders]:
    """Readers whose threads have ended after the test."""
    made = RunReaders()
    yield made
    made.close()
    wait_until_quiet()


def test_all_requests_share_one_reader(run: RunSummary, readers: RunReaders):
    one, other = readers.reader_of(run), readers.reader_of(run)

    assert one is other
    poll_until(lambda: one.follower.is_complete, DEADLINE)  # on a busy machine, a request reads only a part
    assert one.follower.counts("root.double").calls == 300


def test_a_run_that_is_not_asked_for_is_forgotten_and_its_thread_ends(
    run: RunSummary, readers: RunReaders, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_LIFETIME", 0.3)
    first = readers.reader_of(run).name

    wait_until_quiet()

    assert len(readers) == 0
    assert readers.reader_of(run).name != first  # so that an old tag never fits a new reader


def test_a_long_journal_is_read_on_in_a_thread(run: RunSummary, readers: RunReaders):
    reader = readers.reader_of(run, patience=0.0001)

    poll_until(lambda: reader.follower.is_complete, DEADLINE)
    assert reader.follower.counts("root.double").calls == 300


def test_the_reading_stops_when_no_page_asks(
    run: RunSummary, readers: RunReaders, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_READ_ON", 0.0)

    reader = readers.reader_of(run, patience=0.0001)
    poll_until(lambda: reader._thread is not None and not reader._thread.is_alive(), DEADLINE)

    assert not reader.follower.is_complete


def test_the_number_of_readers_is_bounded(readers: RunReaders):
    runs = []
    for number in range(MAX_READERS + 3):
        path = make_run_folder(runs_folder(), f"20261122-0355011{number:02}-9f3ac2", state="stopped")
        runs.append(RunSummary(path.name, str(path), {}, "stopped", None))

    first = readers.reader_of(runs[0])
    for each in runs[1:]:
        readers.reader_of(runs[0])
        readers.reader_of(each)

    assert len(readers) == MAX_READERS
    assert readers.reader_of(runs[0]) is first  # it was asked for all the time


def test_a_reader_of_a_run_that_goes_on_gets_a_fifth_of_the_time():
    now = 100.0
    budget = Budget(lambda: now)
    used = 0.0
    for _ in range(1000):
        now += 0.1
        granted = min(0.05, budget.credit())
        now += granted
        budget.spend(granted)
        used += granted

    assert used <= 1.0 + 0.2 * (now - 100.0)
    assert used >= 0.19 * (now - 100.0)


def test_a_reading_that_took_too_long_is_paid_back():
    now = 0.0
    budget = Budget(lambda: now)

    budget.spend(3.0)

    assert budget.credit() == 0.0
    now = budget.seconds_until(0.05)
    assert now == pytest.approx(10.25)
    assert budget.credit() == pytest.approx(0.05)


def test_many_requests_at_once_see_each_call_once(run: RunSummary, readers: RunReaders):
    seen: list[int] = []

    def look() -> None:
        for _ in range(10):
            reader = readers.reader_of(run, patience=0.001)
            with reader.follower.lock:
                calls = reader.views.calls.page(is_running=False, limit=1000)["calls"]
            seen.append(len({call["number"] for call in calls}) - len(calls))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [0] * 80
    reader = readers.reader_of(run)
    poll_until(lambda: reader.follower.is_complete, DEADLINE)
    assert reader.follower.counts("root.double").calls == 300
