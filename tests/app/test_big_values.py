"""Big arguments and answers travel by reference to a file of the run, in real processes."""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path

import numpy
import pytest
from value_works import ARRAYS, Compares, Failing, Looking, LooksAtArray, Maker, Split, Stuck, Taker, files

from lightning_lite import LightningApp, LightningFlow, LightningWork, process_places
from lightning_lite.errors import AppFailed, ValueFileError
from lightning_lite.tree import calls
from lightning_lite.values.call_key import call_key

from tests.support.flows import Steps, run_steps

MIB = 1024 * 1024
RUNNERS = pytest.mark.parametrize("runner", ["processes", "inline"])


def private_kib() -> int:
    """Return the memory of this process that no file backs, in KiB."""
    text = Path("/proc/self/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous: +(\d+)", text, re.MULTILINE)[1])


def mapped_kib() -> int:
    """Return how much of its mapped files this process has read, in KiB."""
    text = Path("/proc/self/smaps").read_text()
    values = re.findall(r"/values/.*\.val(?: .*)?\n(?:.*\n)*?Rss: +(\d+)", text)
    return sum(map(int, values))


@RUNNERS
def test_an_array_arrives_read_only_and_is_written_once(runner, own_place):
    def steps(flow):
        array = flow.maker.run(2 * MIB)
        assert not array.flags.writeable
        assert array.shape == (2 * MIB // 256, 256)
        total, error = flow.taker.run(array)
        assert total == int(array.sum())
        assert "read-only" in error
        same = flow.other.run(array, back=True)
        assert (same == array).all()
        return [path.stat().st_ino for path in files()]

    inodes = run_steps(steps, runner, maker=Maker(), taker=Taker(), other=Taker())._answer

    assert len(set(inodes)) == 1
    assert len(inodes) == 2  # the answers of two works; the arguments were removed at the end of their calls
    assert {path.stat().st_mode & 0o777 for path in files()} == {0o600}


@RUNNERS
def test_other_big_values_arrive_equal(runner, own_place):
    kinds = ["bytes", "list", "nested"]

    def steps(flow):
        values = [flow.maker.run(2 * MIB, kind) for kind in kinds]
        return values, [flow.taker.run(value, back=True) for value in values]

    values, back = run_steps(steps, runner, maker=Maker(), taker=Taker())._answer

    *flat, nested = values
    *flat_back, nested_back = back
    assert flat == flat_back
    assert [len(value) for value in flat] == [2 * MIB, 2 * MIB // 7]
    assert nested["b"] == nested_back["b"] == "text"
    for one, other in zip(nested["a"], nested_back["a"], strict=True):
        assert numpy.array_equal(one, other)


@pytest.mark.parametrize("kind", ARRAYS)
def test_the_flow_hands_on_each_kind_of_array_without_its_memory(kind, own_place):
    def steps(flow):
        flow.looks.run(flow.other.run(MIB, kind))  # loads modules
        before = private_kib(), mapped_kib()
        value = flow.maker.run(16 * MIB, kind)
        seen = flow.looks.run(value)
        return value, seen, private_kib() - before[0], mapped_kib() - before[1]

    works = {"maker": Maker(), "other": Maker(), "looks": LooksAtArray()}
    value, seen, grown, read = run_steps(steps, **works)._answer

    made = ARRAYS[kind](numpy, numpy.frombuffer(bytes(range(256)) * (MIB // 16), "u1").reshape(-1, 256))
    array, expected = (value["layer 3"], made["layer 3"]) if kind == "many" else (value, made)
    assert array.tobytes() == expected.tobytes()
    assert not array.flags.writeable
    assert seen == (type(expected).__name__, expected.dtype, expected.shape, False, 2)
    assert grown < 4 * 1024
    assert read < 4 * 1024  # nor were its pages read for the key of the call


def test_a_small_value_loads_nothing_and_writes_no_file(own_place):
    class Small(LightningWork):
        def run(self, value):
            value[0] = 7
            return value, "lightning_lite.values.value_files" in sys.modules

    answer = run_steps(lambda flow: flow.work.run(numpy.zeros(1000)), work=Small())._answer

    assert answer[0][0] == 7
    assert answer[1] is False
    assert files() == []


@RUNNERS
def test_the_key_is_the_same_by_value_and_by_reference(runner, own_place):
    def steps(flow):
        array = flow.maker.run(2 * MIB)
        assert call_key((array,), {}) == call_key((array.copy(),), {})
        changed = array.copy()
        changed[-1, -1] ^= 1
        assert call_key((array,), {}) != call_key((changed,), {})
        first = flow.taker.run(array)
        assert flow.taker.run(array.copy()) is first

    run_steps(steps, runner, maker=Maker(), taker=Taker())


def test_the_flow_hands_on_a_value_without_its_memory_also_with_the_fork_server(own_place):
    def steps(flow):
        before = private_kib()
        array = flow.maker.run(16 * MIB)
        total, _ = flow.taker.run(array)
        return total, private_kib() - before

    root = Steps(steps, maker=Maker(), taker=Taker())
    LightningApp(root).run(start_method="forkserver")
    total, grown = root._answer

    assert total > 0
    assert grown < 8 * 1024


def test_a_retry_gets_the_same_value(own_place):
    def steps(flow):
        return flow.work.run(flow.maker.run(2 * MIB, "bytes"), os.path.abspath("marker"))

    assert run_steps(steps, maker=Maker(), work=Failing(retries=1, retry_delay=0.01))._answer == 2 * MIB


def test_the_flow_keeps_only_some_values_mapped(own_place, monkeypatch):
    monkeypatch.setattr(calls, "_MAX_DROPPED", 3)

    def steps(flow):
        sizes = [flow.maker.run((16 + number) * MIB // 8).nbytes for number in range(6)]
        maps = Path("/proc/self/maps").read_text().splitlines()
        mapped = [line for line in maps if ".val" in line and str(own_place.parent) in line]
        return sizes, len(mapped), flow.maker.run(16 * MIB // 8).nbytes

    sizes, num_mapped, again = run_steps(steps, maker=Maker())._answer

    assert num_mapped <= 4  # 3 that the flow has dropped, and the newest
    assert sizes == [(16 + number) * MIB // 8 for number in range(6)]
    assert again == sizes[0]


# glibc maps each block of more than 32 MiB by itself, and unmaps it when it is freed. It may keep smaller
# blocks in its heap: then the process does not shrink although they are free (mallopt(3), M_MMAP_THRESHOLD).
@pytest.mark.parametrize(("kind", "mib", "growth"), [("bytes", 33, 1), ("list", 5, 6)])
def test_values_that_the_flow_has_dropped_leave_its_memory(kind, mib, growth, own_place):
    sizes = [mib * MIB + number for number in range(0, 5 * 256, 256)]

    def steps(flow):
        before = private_kib()
        for size in sizes:
            assert len(flow.maker.run(size, kind)) > 0
        most = private_kib() - before
        flow.other.run(1024)
        rest = private_kib() - before
        return most, rest, [flow.maker.call(size, kind)._value for size in sizes[-2:]]

    most, rest, (value, newest) = run_steps(steps, maker=Maker(), other=Maker())._answer

    assert value is calls._UNREAD
    assert len(newest) > 0  # the flow may read it in each pass
    assert most < (2 * growth * mib + 16) * 1024  # the last two; all need more than twice as much
    if kind == "bytes":  # the memory of a list goes back to the allocator of Python, which reuses it
        assert rest < (mib + 16) * 1024


class Holding(LightningFlow):
    """Holds answers of all kinds for some passes, and reads another one in each."""

    def __init__(self):
        super().__init__()
        self.maker = Maker()
        self.number = 0
        self._held = []
        self._seen = []

    def run(self):
        self._held = self._held or [self.maker.run(2 * MIB, kind) for kind in ("bytes", "list", "array")]
        self.maker.run((3 + self.number) * MIB, "bytes")
        same = [self.maker.run(2 * MIB, kind) for kind in ("bytes", "list", "array")]
        self._seen.append(all(one is other for one, other in zip(self._held, same, strict=True)))
        if self.number == 3:
            self.stop()
        self.number += 1


def test_an_answer_is_the_same_object_in_each_pass_as_long_as_the_flow_holds_it(own_place, monkeypatch):
    # The newest answer has 3 MiB, so each of the others would be unloaded if the flow did not hold it.
    monkeypatch.setattr(calls, "_MAX_DROPPED_SIZE", 2 * MIB)
    root = Holding()
    LightningApp(root).run("inline")

    assert root._seen == [True] * 4


@RUNNERS
def test_a_value_that_can_not_be_mapped_is_handed_on_without_being_written_again(runner, own_place):
    def steps(flow):
        found, expected = {}, {}
        for number, kind in enumerate(["bytes", "text", "list"], 1):  # the answers before this one stay
            first = flow.looking.run(flow.maker.run(2 * MIB, kind))
            value = flow.maker.run(2 * MIB, kind)
            found[kind] = first, flow.looking.run(value=value)
            expected[kind] = ((kind, len(value), value[-1], number + 1, number),) * 2
        return found, expected

    found, expected = run_steps(steps, runner, maker=Maker(), looking=Looking())._answer

    assert found == expected


def test_a_list_that_the_flow_has_changed_is_handed_on_as_it_is(own_place):
    def steps(flow):
        value = flow.maker.run(2 * MIB, "list")
        first = flow.looking.run(value)
        value[-1] = "changed"
        second = flow.looking.run(value)
        value.append("appended")
        return first[2:], second[2:], flow.looking.run(value)[2:]

    first, second, third = run_steps(steps, "inline", maker=Maker(), looking=Looking())._answer

    assert first == (2 * MIB // 7 - 1, 2, 1)
    assert second == ("changed", 2, 2)
    assert third == ("appended", 2, 2)


def test_arguments_that_share_objects_still_share_them_in_the_work(own_place):
    def steps(flow):
        value = flow.maker.run(2 * MIB, "nested")
        return flow.compares.run(value, value, value["a"])

    assert run_steps(steps, maker=Maker(), compares=Compares())._answer == (True, True)


@RUNNERS
def test_the_parts_of_an_answer_are_handed_on_without_being_written_again(runner, own_place):
    def steps(flow):
        return [flow.looking.run(part) for part in flow.split.run()]

    root = run_steps(steps, runner, split=Split(), looking=Looking(cache_calls=False))

    assert root._answer == [("ndarray", size * MIB, size, 2, 1) for size in (4, 2, 2)]
    assert len(files()) == 1


def test_a_small_part_in_an_answer_does_not_keep_a_big_file(own_place):
    def steps(flow):
        return flow.taker.run(flow.split.run()[1], back=True).nbytes

    assert run_steps(steps, "inline", split=Split(), taker=Taker())._answer == 2 * MIB
    assert [path.stat().st_size // MIB for path in sorted(files(), key=os.path.getsize)] == [2, 8]


def test_a_repeated_call_removes_the_value_of_the_call_before(own_place):
    def steps(flow):
        for _ in range(4):
            flow.maker.run(2 * MIB)
        return len(files())

    assert run_steps(steps, "inline", maker=Maker(cache_calls=False))._answer == 1


def test_the_next_used_value_removes_the_one_before_also_with_other_arguments(own_place):
    def steps(flow):
        found = []
        for number in range(5):
            array = flow.maker.run((2 + number) * MIB)
            found.append((array.nbytes // MIB, len(files())))
        first, last = flow.maker.call(2 * MIB), flow.maker.call(6 * MIB)
        return found, first.succeeded, first.value, last.value.nbytes // MIB

    found, succeeded, first, last = run_steps(steps, "inline", maker=Maker(cache_calls=False))._answer

    assert found == [(2, 1), (3, 2), (4, 2), (5, 2), (6, 2)]  # the one before goes after this step
    assert (succeeded, first, last) == (True, None, 6)


class RaisingAfterUse(LightningFlow):
    """Uses a big answer and asks for another call, in a pass that raises and so is not recorded."""

    def __init__(self, raises):
        super().__init__()
        self.maker = Maker(parallel=True, cache_calls=False)
        self._raises = raises
        self._seen = None

    def run(self):
        array = self.maker.run(2 * MIB)
        if array is not None:
            self._seen = self._seen or (array.nbytes, self.maker.call(2 * MIB).number)
            self.maker.run(4 * MIB)
            if self._raises:
                raise RuntimeError("this pass is not recorded")
            self.stop()


def test_a_pass_that_raises_removes_no_value_that_a_resume_needs(own_place):
    with pytest.raises(RuntimeError, match="not recorded"):
        LightningApp(RaisingAfterUse(raises=True)).run("inline")
    assert len(files()) == 1

    root = RaisingAfterUse(raises=False)
    LightningApp(root).run("inline", resume=True)

    assert root._seen == (2 * MIB, 1)


class AskingAgain(LightningFlow):
    """Uses an answer, asks for another one, and ends before that."""

    def __init__(self, resumed):
        super().__init__()
        self._resumed = resumed
        self.maker = Maker(parallel=True, cache_calls=False)
        self.phase = "first"
        self._latest = None

    def run(self):
        if self.phase == "second":
            self.maker.run(4 * MIB)
            if self.maker.status.stage in ("pending", "running"):
                self.phase = "third"
        elif self.phase == "third":
            if not self._resumed:
                raise RuntimeError("the second call has not ended")
            self._latest = self.wait_for(self.maker)[0]
            self.stop()
        elif self.maker.run(2 * MIB) is not None:
            self.phase = "second"


def test_a_used_value_is_there_after_a_resume_if_the_next_call_had_not_ended(own_place):
    with pytest.raises(RuntimeError, match="not ended"):
        LightningApp(AskingAgain(resumed=False)).run()

    root = AskingAgain(resumed=True)
    LightningApp(root).run(resume=True)
    assert root._latest.nbytes == 2 * MIB


class Interrupting(LightningFlow):
    """Lets one call exceed its time, and stops another."""

    def __init__(self):
        super().__init__()
        self.maker = Maker()
        self.slow = Stuck(timeout=1.0, raise_exception=False)
        self.stopped = Stuck(parallel=True)
        self.num_files = 0

    def run(self):
        value = self.maker.run(2 * MIB, "bytes")
        self.slow.run(value)
        self.stopped.run(value)
        if self.stopped.status.stage == "stopped":
            self.num_files = len(files())
            self.stop()
        elif self.stopped.is_up:
            self.stopped.stop(timeout=0)


def test_interrupted_calls_leave_no_file_while_the_run_goes_on(own_place):
    root = Interrupting()
    LightningApp(root).run()

    assert root.num_files == 1  # the answer of the maker, which is remembered
    assert len(files()) == 1


class StoppingOne(LightningFlow):
    """Stops one of two works whose files have no reference yet, and counts the files."""

    def __init__(self, monkeypatch):
        super().__init__()
        self._monkeypatch = monkeypatch
        self.maker = Maker()
        self.writing, self.stopped = Stuck(parallel=True), Stuck(parallel=True)
        self.num_files = 0

    def run(self):
        value = self.maker.run(2 * MIB, "bytes")
        self.writing.run(value)
        self.stopped.run(value)
        if self.stopped.status.stage == "stopped":
            self.num_files = len(files())
            self.stop()
        elif self.writing.is_up and self.stopped.is_up:
            self._monkeypatch.setattr(process_places, "this_host", lambda: "another-host")
            self.stopped.stop(timeout=0)


def test_an_exit_keeps_the_files_that_a_work_on_another_host_may_be_writing(own_place, monkeypatch):
    root = StoppingOne(monkeypatch)
    LightningApp(root).run()

    assert root.num_files == 3  # the answer of the maker, the argument of `writing`, and what that writes


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "damaged": (damage, "does not match its digest"),
    "shorter": (lambda path: os.truncate(path, 100), "its size in bytes is 100"),
    "missing": (os.unlink, "No such file"),
    "link": (
        lambda path: (path.rename("moved"), path.symlink_to(Path("moved").absolute())),
        "a symbolic link",
    ),
    "open to others": (lambda path: path.chmod(0o666), "may write to it"),
    "fifo": (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_bad_file_is_refused_by_name(case, own_place):
    spoil, reason = DAMAGES[case]

    def steps(flow):
        flow.maker.run(2 * MIB)

    fail_after(Steps(steps, maker=Maker()), "inline")
    (path,) = files()
    spoil(path)
    with pytest.raises(ValueFileError, match=reason) as caught:
        LightningApp(Steps(steps, maker=Maker())).run("inline", resume=True)
    assert path.name in str(caught.value)


def fail_after(root: Steps, runner: str) -> None:
    """Run the steps, and end the app as failed, so that its run can be resumed."""
    steps = root._steps

    def failing(flow):
        steps(flow)
        flow.fail("enough")

    root._steps = failing
    with pytest.raises(AppFailed):
        LightningApp(root).run(runner)


def test_a_resumed_app_finds_the_value_and_removes_the_rest(own_place):
    def steps(flow):
        array = flow.maker.run(2 * MIB)
        assert not array.flags.writeable
        return flow.taker.run(array)

    fail_after(Steps(steps, maker=Maker(), taker=Taker()), "processes")
    (path,) = files()
    for name in ("1-00.val", "1-00.val.new"):
        (path.parent / name).write_bytes(b"left by a killed writer")

    root = Steps(steps, maker=Maker(), taker=Taker())
    LightningApp(root).run(resume=True)

    assert root._answer[0] > 0
    assert root.maker.num_successes == 1
    assert files() == [path]


def test_a_resumed_app_hands_on_a_value_that_can_not_be_mapped(own_place):
    def steps(flow):
        return flow.looking.run(flow.maker.run(2 * MIB, "bytes"))

    only_maker = Steps(lambda flow: flow.maker.run(2 * MIB, "bytes"), maker=Maker(), looking=Looking())
    fail_after(only_maker, "inline")
    root = Steps(steps, maker=Maker(), looking=Looking())
    LightningApp(root).run("inline", resume=True)

    assert root.maker.num_successes == 1
    assert root._answer == ("bytes", 2 * MIB, 255, 2, 1)


def test_a_full_disk_is_a_clear_error_and_the_run_can_be_resumed(own_place):
    class Limited(LightningWork):
        def run(self, limited):
            if limited and not os.path.exists("enough"):
                # A limit on the size of files stands for a full disk: any user can set it.
                resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, resource.RLIM_INFINITY))
            return b"1" * (2 * MIB)

    def steps(flow):
        flow.quick.run(MIB, "bytes")
        return len(flow.work.run(True))

    with pytest.raises(ValueFileError, match=r"a value of .* bytes can't be written"):
        LightningApp(Steps(steps, work=Limited(), quick=Maker())).run()
    assert len(files()) == 1

    Path("enough").touch()
    root = Steps(steps, work=Limited(), quick=Maker())
    LightningApp(root).run(resume=True)
    assert root._answer == 2 * MIB
