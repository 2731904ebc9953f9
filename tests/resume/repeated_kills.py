"""An app that is killed repeatedly, and checks of the state that it leaves; a script with three commands.

python repeated_kills.py random RUNNER KILLS SEED   kill it KILLS times at random moments, resume, check
python repeated_kills.py points RUNNER WHEN STEP    kill it at every STEP-th write of its journal, resume,
                                                    check; WHEN is `before`, `after` or both with a comma
python repeated_kills.py races TIMES                resume one run in two processes at once, TIMES times
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import select
import signal
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.engine.history import fold_entries
from lightning_lite.errors import JournalInUse
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.testing import poll_until
from lightning_lite.tree.structures import Dict
from lightning_lite.values.call_key import call_key

#: Seconds after which the app hangs; not a measure of speed.
DEADLINE = 100.0

CHAIN = range(6)
SIDE = range(3)
PAUSE = float(os.environ.get("RUN_SECONDS", "0"))

#: The output of the flow at its end, after any number of kills.
EXPECTED = {
    "sums": {str(number): number * 2 for number in CHAIN},
    "table": {str(number): "x" * number for number in CHAIN},
    "side": list(SIDE),
    "big": 200_000,
    "late": 700,
    "fresh": [0, 1, 2],
    "failed": ["failed", "user_exception", "ValueError: no good in root.fails.run(9)"],
    "successes": [len(CHAIN), len(SIDE), 1, 3],
    "stages": ["succeeded", "succeeded", "succeeded"],
}


class Answer:
    def __init__(self, number: int, fill: bytes = b"") -> None:
        self.number = number
        self.fill = fill


class Step(LightningWork):
    """Records each of its runs in a file, and fills a table that a repeated run does not change."""

    def __init__(self, nbytes: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.table: dict[str, str] = {}
        self.last = -1
        self._nbytes = nbytes

    def run(self, number: int) -> Answer:
        ran = os.open("ran.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(ran, f"{self.name} {number}\n".encode())
        os.close(ran)
        threading.Event().wait(PAUSE)
        self.table[str(number)] = "x" * number
        self.last = number
        if number == 9:
            raise ValueError("no good")
        return Answer(number, b"f" * self._nbytes)


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.chain, self.big = Step(), Step(200_000)
        self.side = Step(parallel=True)
        self.fails = Step(raise_exception=False)
        self.fresh = Step(cache_calls=False)
        self.late: Dict[str, Step] = Dict()
        self.sums: dict[str, int] = {}
        self.refreshed: list[int] = []

    def run(self) -> None:
        side = [self.side.run(number) for number in SIDE]
        for number in self.experimental_iterate(CHAIN):
            answer = self.chain.run(number)
            assert type(answer) is Answer, answer
            self.sums[str(number)] = 2 * answer.number
        while len(self.refreshed) < 3:
            self.refreshed = [*self.refreshed, len(self.refreshed) + 0 * self.fresh.run(5).number]
        self.fails.run(9)
        if "one" not in self.late:
            self.late["one"] = Step()
        late, big = self.late["one"].run(700), self.big.run(1)
        if all(side):
            self.stop(
                json.dumps(
                    {
                        "sums": self.sums,
                        "table": self.chain.table,
                        "side": [answer.number for answer in side],
                        "big": len(big.fill),
                        "late": late.number,
                        "fresh": self.refreshed,
                        "failed": [
                            self.fails.status.stage,
                            self.fails.status.reason,
                            self.fails.status.message,
                        ],
                        "successes": [
                            work.num_successes for work in (self.chain, self.side, self.big, self.fresh)
                        ],
                        "stages": [work.status.stage for work in (self.chain, self.side, self.big)],
                    }
                )
            )


def run(runner: str) -> None:
    """Resume the run of this folder, or start one."""
    retry_failed = "RETRY_FAILED" in os.environ
    LightningApp(Root(), root_dir="root").run(runner, resume=True, retry_failed=retry_failed)


# Checks.


def ran() -> Counter[str]:
    """Return how often each call was started, by work and number."""
    with contextlib.suppress(FileNotFoundError):
        return Counter(Path("ran.txt").read_text().splitlines())
    return Counter()


def completed() -> set[str]:
    """Return the calls that are completed in the journal, except those that the flow asks for repeatedly."""
    numbers = {call_key((number,), {}, "repeated_kills"): number for number in (*CHAIN, 1, 9, 700)}
    found = set()
    for folder in Path("root/runs").glob("2*"):
        if not (folder / FILE_NAME).exists():
            continue
        details = json.loads((folder / "run.json").read_text())
        journal = Journal.open(str(folder.absolute()), details["identity"])
        with contextlib.closing(journal):
            history = fold_entries(journal.entries(), journal.path)
            for name, work in history.works.items():
                if name != "root.fresh":
                    calls = [call for call in work.records.current.values() if call.ended]
                    found |= {f"{name} {numbers[call.key]}" for call in calls}
    return found


def has_ended() -> bool:
    """Return whether the flow has ended the run of this folder."""
    return any('"state": "stopped"' in file.read_text() for file in Path("root/runs").glob("2*/run.json"))


def check_end(before: Counter[str], done: set[str], num_kills: int) -> None:
    """Assert that an ended run has run all calls, and no completed call again."""
    after = ran()
    for call in done:
        assert after[call] == before[call], f"{call} was completed and ran again"
    wanted = {f"root.chain {n}" for n in CHAIN} | {f"root.side {n}" for n in SIDE}
    wanted |= {"root.big 1", "root.late.one 700", "root.fails 9"}
    assert after.keys() - {"root.fresh 5"} == wanted, after
    assert max(after[call] for call in wanted) <= num_kills + 1, after
    assert 3 <= after["root.fresh 5"] <= 3 + num_kills, after


# Kills at random moments.

#: Maximum of kills in one run; after that, another run begins.
KILLS_OF_A_RUN = 12


def wait_or_kill(runner: str, seconds: float | None) -> int:
    """Run the app in a forked process, kill it after some seconds, and return its exit code.

    Its output is in `out.txt` and `err.txt`.
    """
    has_ended, end = os.pipe()

    def life() -> None:
        for number, name in ((1, "out.txt"), (2, "err.txt")):
            with open(name, "w") as file:
                os.dup2(file.fileno(), number)
        try:
            run(runner)
        except Exception:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()

    pid = fork(life)
    os.close(end)  # the app has the other one, and works have none
    select.select([has_ended], [], [], seconds)
    os.close(has_ended)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_until_the_end(runner: str, max_kills: int, rng: random.Random) -> int:
    """Kill the app at random moments and resume it until it completes; return the number of kills."""
    os.environ.pop("RETRY_FAILED", None)
    kills, done, before = 0, set[str](), ran()
    while True:
        code = wait_or_kill(runner, rng.uniform(0.0, 0.7) if kills < max_kills else DEADLINE)
        if code == 0 or has_ended():
            check_end(before, done, kills)
            result = json.loads(Path("out.txt").read_text().splitlines()[-1])
            assert result == EXPECTED, result
            return kills
        if code != -signal.SIGKILL:
            err = Path("err.txt").read_text()
            assert "PoisonCall" in err, err  # three kills came during the same call
            os.environ["RETRY_FAILED"] = "1"
            done.discard("root.fails 9")
            continue
        kills += 1
        after = ran()
        assert [call for call in done if after[call] != before[call]] == []
        before, done = after, completed()
        if "RETRY_FAILED" in os.environ:
            done.discard("root.fails 9")


def kill_at_random_moments(runner: str, kills: int, seed: int) -> None:
    """Kill the app so often, in as many runs as that takes."""
    sys.stderr.write(f"seed {seed}\n")
    top, rng = Path.cwd(), random.Random(seed)
    for number in range(100 + kills):
        folder = top / f"{number}"
        folder.mkdir()
        os.chdir(folder)
        kills -= kill_until_the_end(runner, min(kills, KILLS_OF_A_RUN), rng)
        if not kills:
            return
    raise AssertionError("the app completed before it could be killed")


# Kills at each write of the journal.


def kill_self_at(number: int, when: str) -> None:
    """Make this process kill itself `before` or `after` write number `number` of its journal."""
    writes = [0]

    write = Journal.write

    def write_or_die(self: Journal, entry: bytes) -> int:
        writes[0] += 1
        if writes[0] == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        size = write(self, entry)
        if writes[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return size

    Journal.write = write_or_die  # type: ignore[method-assign]


def fork(life: Callable[[], None]) -> int:
    """Run a function in a forked process, which need not import anything again."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            life()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def run_in_fork(runner: str, die: int, when: str) -> bool:
    """Run the app in a forked process that kills itself at write `die`; return whether it completed."""

    def life() -> None:
        with open("out.txt", "w") as out:
            os.dup2(out.fileno(), 1)
        if die:
            kill_self_at(die, when)
        run(runner)

    status = os.waitstatus_to_exitcode(os.waitpid(fork(life), 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == 0


def die_at_points(runner: str, when: str, step: int) -> None:
    """Kill the app at each `step`-th write and once more after the resume, then check how it ends.

    Args:
        runner: Name of the runner.
        when: `before` or `after` the write; with `before,after`, they alternate.
        step: Distance of the writes.
    """
    top = Path.cwd()
    for number, now in zip(itertools.count(step, step), itertools.cycle(when.split(",")), strict=False):
        folder = top / f"{number}"
        folder.mkdir()
        os.chdir(folder)
        if run_in_fork(runner, number, now):
            break
        before, done = ran(), completed()
        num_kills = 1
        if not run_in_fork(runner, 1 + number * 7 % 11, now):
            num_kills += 1
            for call in done:
                assert ran()[call] == before[call], f"{call} was completed and ran again"
            before, done = ran(), completed()
            assert run_in_fork(runner, 0, now)
        check_end(before, done, num_kills)
        result = json.loads(Path("out.txt").read_text().splitlines()[-1])
        assert result == EXPECTED, result
        sys.stdout.write(f"{number} {num_kills}\n")
        sys.stdout.flush()


# Races for one run.


class Waits(LightningFlow):
    """Creates a file with its process id, and waits until it is killed."""

    def run(self) -> None:
        Path(f"here.{os.getpid()}").touch()
        threading.Event().wait()


def resume_or_report() -> None:
    """Resume the run of this folder, or write the error into a file."""
    try:
        LightningApp(Waits(), root_dir="root").run("inline", resume=True)
    except JournalInUse as error:
        Path(f"refused.{os.getpid()}").write_text(str(error))


def race(times: int) -> None:
    """Resume one run in two processes at once, kill the one that succeeds, and repeat."""
    winner = fork(resume_or_report)
    poll_until(Path(f"here.{winner}").exists)
    for _ in range(times):
        os.kill(winner, signal.SIGKILL)
        os.waitpid(winner, 0)
        rivals = {fork(resume_or_report), fork(resume_or_report)}
        loser, status = os.waitpid(-1, 0)
        (winner,) = rivals - {loser}
        poll_until(Path(f"here.{winner}").exists)
        assert status == 0
        assert f"process {winner} " in Path(f"refused.{loser}").read_text()
        assert not Path(f"here.{loser}").exists()
        assert len(os.listdir("root/runs")) == 1
    os.kill(winner, signal.SIGKILL)
    os.waitpid(winner, 0)


if __name__ == "__main__":
    if sys.argv[1] == "random":
        kill_at_random_moments(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1] == "races":
        race(int(sys.argv[2]))
    else:
        die_at_points(sys.argv[2], sys.argv[3], int(sys.argv[4]))
