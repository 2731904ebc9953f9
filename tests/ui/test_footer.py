"""Lines at the bottom of a terminal, and what is printed above them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import termios
import threading

import pytest

from lightning_lite.ui.footer import Footer, open_footer
from lightning_lite.ui.tty import Tty

pytestmark = pytest.mark.dependencies

DEADLINE = 60.0


@pytest.fixture
def stream(screen):
    with open(os.dup(screen.slave), "w", encoding="utf-8", buffering=1) as stream:
        yield stream


@pytest.fixture
def footer(screen, stream):
    footer = Footer(Tty(os.ttyname(screen.slave)), [stream])
    yield footer
    footer.close()


def shown(screen):
    screen.take()
    return screen.display


def test_it_stands_below_what_is_printed_with_an_empty_line_between(screen, stream, footer):
    footer.draw(["one", "two"])
    stream.write("a\nb\n")

    assert shown(screen) == ["a", "b", "", "one", "two"]
    assert screen.cursor == (2, 0)


def test_it_can_shrink_grow_and_go(screen, footer):
    footer.draw(["one", "two", "three"])
    footer.draw(["ONE"])
    assert shown(screen) == ["", "ONE"]

    footer.draw(["one", "two"])
    footer.draw([])

    assert shown(screen) == []


def test_prints_scroll_above_it_at_the_bottom_of_the_screen(screen, stream, footer):
    footer.draw(["one", "two"])
    for number in range(100):
        stream.write(f"line {number}\n")
    footer.redraw()

    screen.take()
    assert screen.lines == [*(f"line {number}" for number in range(100)), "", "one", "two"]


def test_an_open_line_stays_whole_and_is_continued(screen, stream, footer):
    footer.draw(["one"])
    stream.write("loading ...")
    stream.flush()
    assert shown(screen) == ["loading ...", "one"]

    stream.write(" done\n")

    assert shown(screen) == ["loading ... done", "", "one"]


def test_a_bar_of_the_flow_that_overwrites_its_line_does_so(screen, stream, footer):
    footer.draw(["one"])
    for percent in (10, 50, 100):
        stream.write(f"\r{percent:>3}%")
        stream.flush()

    assert shown(screen) == ["100%", "one"]


def test_a_line_longer_than_the_terminal_is_not_cut(screen, stream, footer):
    footer.draw(["one"])
    stream.write("x" * 250 + "\n")

    assert "".join(shown(screen)) == "x" * 250 + "one"


def test_what_nobody_has_seen_coming_is_not_lost(screen, footer):
    footer.draw(["one", "two", "three"])
    os.write(screen.slave, b"from C code\nand more\n")
    footer.draw(["ONE", "TWO"])

    assert shown(screen) == ["from C code", "and more", "", "ONE", "TWO"]


def test_whoever_held_the_stream_before_is_heard(screen, stream):
    handler = logging.StreamHandler(stream)
    footer = Footer(Tty(os.ttyname(screen.slave)), [stream])
    footer.draw(["one"])

    handler.emit(logging.makeLogRecord({"msg": "careful"}))
    print("printed", file=stream)

    assert shown(screen) == ["careful", "printed", "", "one"]
    footer.close()


def test_two_streams_keep_their_order(screen, stream):
    with open(os.dup(screen.slave), "w", encoding="utf-8", buffering=1) as other:
        footer = Footer(Tty(os.ttyname(screen.slave)), [stream, other])
        footer.draw(["one"])
        for number in range(5):
            stream.write(f"out {number}\n")
            other.write(f"err {number}\n")
        footer.close()

    assert shown(screen) == [f"{name} {number}" for number in range(5) for name in ("out", "err")]


def test_threads_that_print_do_not_mix_their_lines(screen, stream, footer):
    footer.draw(["one"])
    threads = [
        threading.Thread(target=lambda name=name: [stream.write(f"{name * 20}\n") for _ in range(50)])
        for name in "abc"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    footer.close()

    screen.take()
    assert sorted(screen.lines) == [name * 20 for name in "abc" for _ in range(50)]


def test_a_flood_wipes_it_and_asks_for_it_to_be_drawn_again(screen, stream, footer):
    asked = threading.Event()
    footer.on_hidden = asked.set
    footer.draw(["one"])
    while not asked.is_set():
        stream.write("flood\n")
        screen.take()
    assert "one" not in shown(screen)

    footer.redraw()

    assert shown(screen)[-2:] == ["", "one"]


def test_it_is_away_as_long_as_somebody_holds_the_terminal(screen, stream, footer):
    footer.draw(["one"])
    footer.hold()
    footer.hold()
    stream.write("a\n")
    footer.release()
    footer.draw(["ONE"])
    assert shown(screen) == ["a"]

    footer.release()
    footer.redraw()

    assert shown(screen) == ["a", "", "ONE"]


def test_holding_brings_out_what_waits_for_its_newline(screen, stream, footer):
    stream.write("name: ")
    assert shown(screen) == []

    footer.hold()

    assert shown(screen) == ["name:"]
    footer.release()


def test_closing_wipes_it_and_gives_the_stream_back(screen, stream, footer):
    footer.draw(["one"])
    stream.write("no newline")
    footer.close()
    footer.close()
    stream.write(", nor here\n")

    assert shown(screen) == ["no newline, nor here"]
    assert "write" not in vars(stream)


def test_a_forked_child_prints_without_it(screen, stream, footer):
    footer.draw(["one"])
    pid = os.fork()
    if not pid:
        stream.write("child\n")
        stream.flush()
        os._exit(0)
    os.waitpid(pid, 0)

    assert shown(screen)[0].startswith("child")
    footer.draw(["ONE"])
    assert shown(screen) == ["child", "", "ONE"]


def test_a_terminal_that_stands_still_is_not_drawn_on(screen, footer):
    termios.tcflow(screen.slave, termios.TCOOFF)
    footer.draw(["one"])  # returns

    termios.tcflow(screen.slave, termios.TCOON)
    assert shown(screen) == []
    footer.redraw()
    assert shown(screen) == ["", "one"]


def test_interrupt_ends_a_print_that_blocks(screen, stream, footer):
    termios.tcflow(screen.slave, termios.TCOOFF)
    thread = threading.Thread(target=stream.write, args=("text\n" * 10_000,))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()

    footer.interrupt()
    thread.join(DEADLINE)

    assert not thread.is_alive()
    termios.tcflow(screen.slave, termios.TCOON)


def test_nothing_but_a_terminal_gets_one(screen, tmp_path, monkeypatch, capsys):
    assert open_footer() is None  # what pytest puts in the place of a terminal
    with open(tmp_path / "file", "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert open_footer() is None


@pytest.mark.parametrize(
    "env", [{"NO_COLOR": "1"}, {"NO_COLOR": ""}, {"TERM": "dumb"}, {"TERM": "unknown"}], ids=str
)
def test_a_terminal_of_plain_text_gets_none(screen, stream, monkeypatch, env):
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    footer = open_footer()
    assert footer is not None
    footer.close()

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert open_footer() is None


def test_what_a_process_of_the_flow_prints_stands_where_the_footer_was(screen, footer):
    footer.draw(["", "one", "two"])
    subprocess.run(["sh", "-c", "echo a; echo b >&2"], stdout=screen.slave, stderr=screen.slave, check=True)
    footer.draw(["ONE"])

    assert shown(screen) == ["a", "b", "", "ONE"]
