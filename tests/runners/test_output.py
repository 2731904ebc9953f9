"""The way of the output: out of the pipes, into the logs, behind them to the display."""

import logging
import os
import resource
import stat
import threading
from contextlib import suppress

import pytest
from main_thread import ctrl_c_within

from lightning_lite.runners.output.display_queue import DisplayQueue, Piece
from lightning_lite.runners.output.log_reader import read_tail
from lightning_lite.runners.output.pump import OutputPump

from tests.support.limits import limited

#: Seconds after which a test says that something hangs; not a measure of speed.
DEADLINE = 60.0


class RecordingDisplay:
    """Keeps the lines that it gets; blocks while it is held, as a terminal after Ctrl-S does."""

    def __init__(self):
        self.broken = False
        self.lines = []
        self.blocked = threading.Event()
        self._free = threading.Event()
        self._free.set()

    def show(self, work, text):
        if not self._free.is_set():
            self.blocked.set()
            self._free.wait()
        if not self.broken:
            self.lines += [f"{work} | {line}" for line in text.removesuffix("\n").split("\n")]

    def hold(self):
        self._free.clear()

    def release(self):
        self._free.set()

    def close(self):
        self.broken = True
        self._free.set()


@pytest.fixture
def display():
    return RecordingDisplay()


@pytest.fixture
def pump(tmp_path, display):
    logs = tmp_path / "logs"
    logs.mkdir()
    pump = OutputPump(str(logs), display)
    yield pump
    display.release()
    pump.close()


@pytest.fixture
def log(tmp_path):
    return lambda work="root.a": (tmp_path / "logs" / f"{work}.log").read_text("utf-8")


@pytest.fixture
def tail(tmp_path):
    return lambda work, nlines: read_tail(str(tmp_path / "logs" / f"{work}.log"), nlines)


@pytest.fixture
def pipe(pump):
    end = pump.attach("root.a")
    yield end
    os.close(end)


def test_what_was_printed_is_logged_and_shown_when_flush_returns(pump, pipe, display, log):
    for i in range(100):
        os.write(pipe, b"line %d\n" % i)
        pump.flush("root.a")

        assert log().endswith(f"line {i}\n")
        assert display.lines[-1] == f"root.a | line {i}"

    assert len(display.lines) == 100


def test_only_its_user_can_read_a_log(pump, pipe, tmp_path):
    before = os.umask(0)
    try:
        os.write(pipe, b"secret\n")
        pump.flush("root.a")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "logs" / "root.a.log").stat().st_mode) == 0o600


def test_no_control_character_gets_into_the_log_or_onto_the_display(pump, pipe, display, log):
    os.write(pipe, b"\x1b[2J\x1b]0;title\x07 \xff\xfe [/red]\r\n\x9b31m\xe2\x80\xaeevil\n")
    pump.flush("root.a")

    assert log() == "\\x1b[2J\\x1b]0;title\\x07 \\xff\\xfe [/red]\n\\x9b31m\\u202eevil\n"
    assert display.lines == [f"root.a | {line}" for line in log().splitlines()]


def test_colours_stay_in_the_log_and_each_line_ends_its_own(pump, pipe, display, log, tail):
    os.write(pipe, b"\x1b[1;31mred\nred, too\x1b[0m and \x1b[3")
    os.write(pipe, b"2mgreen\x1b[K\x1b[m\n")
    pump.flush("root.a")

    assert log() == (
        "\x1b[0;31;1mred\x1b[0m\n\x1b[0;31;1mred, too\x1b[0m and \x1b[0;32mgreen\\x1b[K\x1b[0m\n"
    )
    assert display.lines == [f"root.a | {line}" for line in log().splitlines()]
    assert tail("root.a", 1) == "red, too and green\\x1b[K\n"


def test_a_line_without_its_end_is_shown_at_the_flush_and_goes_on_in_the_log(pump, pipe, display, log):
    os.write(pipe, b"so far")
    pump.flush("root.a")
    pump.flush("root.a")
    assert display.lines == ["root.a | so far"]

    os.write(pipe, b" so good")
    pump.flush("root.a")
    os.write(pipe, b"\nnext\n")
    pump.flush("root.a")

    assert display.lines == ["root.a | so far", "root.a |  so good", "root.a | next"]
    assert log() == "so far so good\nnext\n"


def test_a_progress_bar_is_shown_state_by_state(pump, pipe, display):
    os.write(pipe, b"\r 0%\r50%\r100%\ndone\n")
    pump.flush("root.a")

    assert display.lines == ["root.a |  0%", "root.a | 50%", "root.a | 100%", "root.a | done"]


def test_a_character_that_is_written_in_two_parts_stays_one(pump, pipe, display):
    for part in (b"caf\xc3", b"\xa9\n"):
        os.write(pipe, part)
        pump.flush("root.a")

    assert display.lines == ["root.a | caf", "root.a | é"]


def test_a_flow_that_never_asks_blocks_no_work_that_prints(pump, pipe, display, log):
    line = b"x" * 99 + b"\n"

    writer = threading.Thread(target=lambda: [os.write(pipe, line * 100) for _ in range(500)])
    writer.start()
    writer.join(DEADLINE)

    assert not writer.is_alive()
    pump.flush("root.a")
    assert len(log()) == 5_000_000


def test_a_very_long_line_is_whole_in_the_log_and_shown_in_parts(pump, pipe, display, log):
    line = "€" * 700_000
    for start in range(0, len(line), 5_000):
        os.write(pipe, line[start : start + 5_000].encode())
    os.write(pipe, b"\nshort\n")
    pump.flush("root.a")

    assert log() == f"{line}\nshort\n"
    *parts, last = (shown.removeprefix("root.a | ") for shown in display.lines)
    assert ("".join(parts), last) == (line, "short")
    assert 1 < len(parts) < 10


def test_a_display_that_blocks_stops_neither_work_nor_flow_nor_log_and_loses_nothing(
    pump, pipe, display, log
):
    display.hold()
    for i in range(2_000):
        os.write(pipe, b"%d\n" % i)
        pump.flush("root.a")  # waits once, for half a second; 2,000 times would be 1,000 s

    assert log() == "".join(f"{i}\n" for i in range(2_000))
    assert display.lines == []

    display.release()
    pump.close()
    assert display.lines == [f"root.a | {i}" for i in range(2_000)]


def test_a_display_that_has_caught_up_is_waited_for_again(pump, pipe, display):
    display.hold()
    os.write(pipe, b"one\n")
    pump.flush("root.a")
    assert pump._queue._stalled

    display.release()
    with pump._queue._changed:
        assert pump._queue._changed.wait_for(lambda: not pump._queue._stalled, DEADLINE)
    for i in range(100):
        os.write(pipe, b"%d\n" % i)
        pump.flush("root.a")
        assert display.lines[-1] == f"root.a | {i}"


def test_a_limited_close_waits_for_no_display_that_stands_still(pump, pipe, display, log, monkeypatch):
    monkeypatch.setattr("lightning_lite.runners.output.display_queue.STALL", 0.01)
    display.hold()
    os.write(pipe, b"one\n")
    pump.limit_close()
    pump.close()

    assert (display.lines, log()) == ([], "one\n")


def test_what_waits_for_the_display_takes_little_memory_and_keeps_its_order(tmp_path, display):
    queue = DisplayQueue(display)
    paths = {work: tmp_path / work for work in "ab"}
    for path in paths.values():
        path.write_text("".join(f"{i:07}\n" for i in range(6_000)))

    display.hold()
    queue.add(Piece("a", str(paths["a"]), 0, 8))
    display.blocked.wait(DEADLINE)
    for i in range(1, 6_000):
        for work, path in paths.items():
            queue.add(Piece(work, str(path), i * 8, (i + 1) * 8))

    assert len(queue._pieces) <= 10_000
    display.release()
    queue.close()
    for work, first in (("a", 0), ("b", 1)):
        shown = [line for line in display.lines if line.startswith(work)]
        assert shown == [f"{work} | {i:07}" for i in range(first, 6_000)]


def test_nothing_is_shown_twice_or_lost_when_a_log_is_cut_by_its_user(pump, pipe, display, tmp_path):
    os.write(pipe, b"before\n")
    pump.flush("root.a")
    os.truncate(tmp_path / "logs" / "root.a.log", 0)
    os.write(pipe, b"after\n")
    pump.flush("root.a")

    assert display.lines == ["root.a | before", "root.a | after"]


def test_detach_takes_what_is_left_and_does_not_wait_for_others_who_hold_the_pipe(pump, pipe, display, log):
    os.write(pipe, b"last words")

    pump.detach("root.a")  # our own write end stays open, as that of a grandchild would

    assert log() == "last words\n"
    assert display.lines == ["root.a | last words"]
    with pytest.raises(BrokenPipeError):
        os.write(pipe, b"from the grave\n")


def test_a_work_that_closes_its_output_costs_no_time(pump, display):
    os.close(pump.attach("root.a"))
    end = pump.attach("root.b")
    os.write(end, b"still here\n")
    pump.flush("root.b")
    os.close(end)

    for work in ("root.a", "root.b"):
        pump.flush(work)
        pump.detach(work)
    before = sum(os.times()[:2])
    threading.Event().wait(0.3)

    assert sum(os.times()[:2]) - before < 0.2  # a thread that spins would have taken all of it
    assert display.lines == ["root.b | still here"]


def test_a_work_that_is_started_again_goes_on_in_its_log(pump, display, log, tail):
    for text in (b"first life", b"second life\n"):
        end = pump.attach("root.a")
        os.write(end, text)
        os.close(end)
        pump.detach("root.a")

    assert log() == "first life\nsecond life\n"
    assert tail("root.a", 1) == "second life\n"


def test_the_tail_of_a_log_is_its_last_lines(pump, pipe, tail):
    os.write(pipe, b"".join(b"%d\n" % i for i in range(1_000)))
    pump.flush("root.a")

    assert tail("root.a", 3) == "997\n998\n999\n"
    assert tail("root.other", 3) == ""


def test_no_process_inherits_a_pipe_by_accident(pump):
    before = inheritable_files()
    end = pump.attach("root.a")

    assert inheritable_files() == before
    os.close(end)


def inheritable_files():
    found = set()
    for fd in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # the one that lists them
            if os.get_inheritable(fd):
                found.add(fd)
    return found


def test_a_full_disk_is_reported_once_and_stops_no_work(pump, pipe, display, log, caplog):
    os.write(pipe, b"fits\n")
    pump.flush("root.a")
    with limited(resource.RLIMIT_FSIZE, 8):  # three more bytes are written
        for i in range(10):
            os.write(pipe, b"too much %d\n" % i)
            pump.flush("root.a")
    os.write(pipe, b"fits again\n")
    pump.flush("root.a")

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "File too large" in caplog.text
    shown = ["fits", *(f"too much {i}" for i in range(10)), "fits again"]
    assert display.lines == [f"root.a | {line}" for line in shown]
    assert log() == "fits\ntoo\n[107 bytes could not be written here]\nfits again\n"


def test_a_log_that_can_not_be_opened_is_the_same(tmp_path, display, caplog):
    pump = OutputPump(str(tmp_path / "missing"), display)
    for work in ("root.a", "root.b"):
        end = pump.attach(work)
        os.write(end, b"one\ntwo")
        pump.flush(work)
        os.close(end)
    pump.close()

    assert display.lines == ["root.a | one", "root.a | two", "root.b | one", "root.b | two"]
    assert caplog.text.count("can't be written") == 1
    assert str(tmp_path / "missing") in caplog.text


def test_output_that_is_neither_logged_nor_shown_is_counted_not_kept(tmp_path, display):
    pump = OutputPump(str(tmp_path / "missing"), display)
    display.hold()
    end = pump.attach("root.a")
    for _ in range(300):
        os.write(end, b"x" * 9_999 + b"\n")
        pump.flush("root.a")
    os.close(end)
    display.release()
    pump.close()

    shown = sum(len(line) - len("root.a | ") + 1 for line in display.lines[:-1])
    dropped = int(display.lines[-1].split()[2].strip("["))
    assert 1_000_000 < shown < 1_100_000
    assert display.lines[-1].endswith("characters are neither logged nor shown]")
    assert shown + dropped == pytest.approx(3_000_000, abs=20_000)


def test_a_broken_display_stops_no_work(pump, pipe, display, log):
    display.close()
    for i in range(100):
        os.write(pipe, b"%d\n" % i)
        pump.flush("root.a")

    assert len(log().splitlines()) == 100
    assert display.lines == []


def test_without_a_display_there_is_the_log(tmp_path):
    pump = OutputPump(str(tmp_path), None)
    end = pump.attach("root.a")
    os.write(end, b"quiet\n")
    os.close(end)
    pump.close()

    assert (tmp_path / "root.a.log").read_text() == "quiet\n"


def test_ctrl_c_ends_the_wait_for_a_display_that_blocks(pump, pipe, display):
    display.hold()
    os.write(pipe, b"never seen\n")
    pump.flush("root.a")

    with pytest.raises(KeyboardInterrupt), ctrl_c_within(DisplayQueue.close, threading.Event.wait):
        pump.close()

    assert display.broken


def test_too_many_open_files_are_reported_where_the_pipe_is_created(pump):
    ends = [pump.attach("root.a")]  # the threads have their data
    highest = max(map(int, os.listdir("/proc/self/fd")))
    try:
        with (
            limited(resource.RLIMIT_NOFILE, highest + 1),
            pytest.raises(OSError, match="Too many open files"),
        ):
            ends += map(pump.attach, map("root.b{}".format, range(1_000)))
    finally:
        for end in ends:
            os.close(end)
