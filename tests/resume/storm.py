"""An app that dies again and again, and the look at what it has left; run as a script.

python storm.py run RUNNER                 go on with the run of this folder, or begin one
python storm.py points RUNNER WHEN STEP    die at each write of the journal, every STEP-th: go on, look
python storm.py races TIMES                let two go on with one run at once, again and again
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.engine.history import fold
from lightning_lite.errors import JournalInUse
from lightning_lite.runs.event_codec import decode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.reader import FILE_NAME
from lightning_lite.testing import poll_until
from lightning_lite.tree.structures import Dict
from lightning_lite.values.call_key import call_key

CHAIN = range(6)
SIDE = range(3)
PAUSE = float(os.environ.get("STORM_PAUSE", "0"))

#: What the flow prints at its end, however often it has died.
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
    """Notes each of its runs outside the app, and keeps a table that does not mind being written twice."""

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
        self.late = Dict()
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
    """Go on with the run of this folder, or begin one."""
    retry_failed = "STORM_RETRY" in os.environ
    LightningApp(Root(), root_dir="root").run(runner, resume=True, retry_failed=retry_failed)


# The look at what was left.


def ran() -> Counter[str]:
    """Return how often each call has begun, by work and number."""
    with contextlib.suppress(FileNotFoundError):
        return Counter(Path("ran.txt").read_text().splitlines())
    return Counter()


def completed() -> set[str]:
    """Return the calls that the journal has as completed and that are asked for no more than once."""
    numbers = {call_key((number,), {}, "storm"): number for number in (*CHAIN, 1, 9, 700)}
    found = set()
    for folder in Path("root/runs").glob("2*"):
        if not (folder / FILE_NAME).exists():
            continue
        facts = json.loads((folder / "run.json").read_text())
        journal = Journal.open(str(folder.absolute()), facts["identity"])
        with contextlib.closing(journal):
            history = fold(decode_events(journal.entries(), journal.path))
            for name, work in history.works.items():
                if name != "root.fresh":
                    calls = [call for call in work.book.current.values() if call.ended]
                    found |= {f"{name} {numbers[call.key]}" for call in calls}
    return found


def is_over() -> bool:
    """Return whether the flow has ended the run of this folder."""
    return any('"state": "stopped"' in file.read_text() for file in Path("root/runs").glob("2*/run.json"))


def look(before: Counter[str], done: set[str], num_kills: int) -> None:
    """Look at a run that has come to its end: what was completed ran no more, all others did."""
    after = ran()
    for call in done:
        assert after[call] == before[call], f"{call} was completed and ran again"
    wanted = {f"root.chain {n}" for n in CHAIN} | {f"root.side {n}" for n in SIDE}
    wanted |= {"root.big 1", "root.late.one 700", "root.fails 9"}
    assert after.keys() - {"root.fresh 5"} == wanted, after
    assert max(after[call] for call in wanted) <= num_kills + 1, after
    assert 3 <= after["root.fresh 5"] <= 3 + num_kills, after


# Dying at each write of the journal.


def die_at(number: int, when: str) -> None:
    """Let this process kill itself at a write of its journal: `before` it or `after` it."""
    writes = [0]

    write = Journal.write

    def write_or_die(self: Journal, entry: bytes) -> None:
        writes[0] += 1
        if writes[0] == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, entry)
        if writes[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.write = write_or_die  # type: ignore[method-assign]


def fork(life: Callable[[], None]) -> int:
    """Let a process of its own, which need not import anything any more, do something."""
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


def live(runner: str, die: int, when: str) -> bool:
    """Run the app in a process of its own that dies at a write; return whether it came to its end."""

    def life() -> None:
        with open("out.txt", "w") as out:
            os.dup2(out.fileno(), 1)
        if die:
            die_at(die, when)
        run(runner)

    status = os.waitstatus_to_exitcode(os.waitpid(fork(life), 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status == 0


def die_at_points(runner: str, when: str, step: int) -> None:
    """Die at each `step`-th write, once more in the run that goes on, and look at how it ends."""
    top, number = Path.cwd(), 0
    while True:
        number += 1
        if step > 1 and number % step:
            continue
        folder = top / f"{number}"
        folder.mkdir()
        os.chdir(folder)
        if live(runner, number, when):
            break
        before, done = ran(), completed()
        num_kills = 1
        if not live(runner, 1 + number * 7 % 11, when):
            num_kills += 1
            for call in done:
                assert ran()[call] == before[call], f"{call} was completed and ran again"
            before, done = ran(), completed()
            assert live(runner, 0, when)
        look(before, done, num_kills)
        result = json.loads(Path("out.txt").read_text().splitlines()[-1])
        assert result == EXPECTED, result
        sys.stdout.write(f"{number} {num_kills}\n")
        sys.stdout.flush()


# Two that want the same run.


class Stays(LightningFlow):
    """Says that it is there, and waits to be killed."""

    def run(self) -> None:
        Path(f"here.{os.getpid()}").touch()
        threading.Event().wait()


def go_on() -> None:
    """Resume the run of this folder, or print which process has it."""
    try:
        LightningApp(Stays(), root_dir="root").run("inline", resume=True)
    except JournalInUse as error:
        Path(f"refused.{os.getpid()}").write_text(str(error))


def race(times: int) -> None:
    """Let two processes go on with one run at once; the one that does is killed, and the next two come."""
    winner = fork(go_on)
    poll_until(Path(f"here.{winner}").exists)
    for _ in range(times):
        os.kill(winner, signal.SIGKILL)
        os.waitpid(winner, 0)
        rivals = {fork(go_on), fork(go_on)}
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
    if sys.argv[1] == "run":
        run(sys.argv[2])
    elif sys.argv[1] == "races":
        race(int(sys.argv[2]))
    else:
        die_at_points(sys.argv[2], sys.argv[3], int(sys.argv[4]))
