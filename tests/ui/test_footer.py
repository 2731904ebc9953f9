"""Lines at the bottom of a terminal, and the output above them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import termios
import threading

import pytest

from lightning_lite.ui.footer import Footer, open_footer
from lightning_lite.ui.terminal import Terminal
from lightning_lite.ui.tty import Tty

from tests.ui.screens import DEADLINE

pytestmark = pytest.mark.dependencies


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
    screen.read_written()
    return screen.display


def test_the_footer_is_below_the_output_with_an_empty_line_between(screen, stream, footer):
    footer.draw(["one", "two"])
    stream.write("a\nb\n")

    assert shown(screen) == ["a", "b", "", "one", "two"]
    assert screen.cursor == (2, 0)


def test_the_footer_can_shrink_grow_and_disappear(screen, footer):
    footer.draw(["one", "two", "three"])
    footer.draw(["ONE"])
    assert shown(screen) == ["", "ONE"]

    footer.draw(["one", "two"])
    footer.draw([])

    assert shown(screen) == []


def test_output_scrolls_above_the_footer(screen, stream, footer):
    footer.draw(["one", "two"])
    for number in range(100):
        stream.write(f"line {number}\n")
    footer.redraw()

    screen.read_written()
    assert screen.lines == [*(f"line {number}" for number in range(100)), "", "one", "two"]


def test_an_incomplete_line_is_shown_and_continued(screen, stream, footer):
    footer.draw(["one"])
    stream.write("loading ...")
    stream.flush()
    assert shown(screen) == ["loading ...", "one"]

    stream.write(" done\n")

    assert shown(screen) == ["loading ... done", "", "one"]


def test_a_progress_bar_of_the_flow_overwrites_its_own_line(screen, stream, footer):
    footer.draw(["one"])
    for percent in (10, 50, 100):
        stream.write(f"\r{percent:>3}%")
        stream.flush()

    assert shown(screen) == ["100%", "one"]


def test_a_line_longer_than_the_terminal_is_not_cut(screen, stream, footer):
    footer.draw(["one"])
    stream.write("x" * 250 + "\n")

    assert "".join(shown(screen)) == "x" * 250 + "one"


def test_output_that_bypasses_the_streams_is_not_lost(screen, footer):
    footer.draw(["one", "two", "three"])
    os.write(screen.slave, b"from C code\nand more\n")
    footer.draw(["ONE", "TWO"])

    assert shown(screen) == ["from C code", "and more", "", "ONE", "TWO"]


def test_output_through_an_older_reference_to_the_stream_is_intercepted(screen, stream):
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


def test_a_long_line_of_a_work_is_not_split_by_a_print(screen, stream, footer, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    terminal = Terminal()
    terminal.footer = footer
    footer.draw(["one"])
    shown_all = threading.Event()

    def print_lines():
        while not shown_all.is_set():
            stream.write("f" * 20 + "\n")
        stream.write("END\n")

    def show_lines():
        for _ in range(10):
            terminal.show("a", "w" * 2500)
        shown_all.set()

    threads = [threading.Thread(target=target) for target in (print_lines, show_lines)]
    for thread in threads:
        thread.start()
    screen.until(lambda: "END" in screen.display)
    for thread in threads:
        thread.join(DEADLINE)
    footer.close()

    assert "".join(screen.lines).count("w" * 2500) == 10


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

    screen.read_written()
    assert sorted(screen.lines) == [name * 20 for name in "abc" for _ in range(50)]


def test_too_many_prints_hide_the_footer_until_the_next_redraw(screen, stream, footer):
    hidden = threading.Event()
    footer.on_hidden = hidden.set
    footer.draw(["one"])
    while not hidden.is_set():
        stream.write("flood\n")
        screen.read_written()
    assert "one" not in shown(screen)

    footer.redraw()

    assert shown(screen)[-2:] == ["", "one"]


def test_the_footer_is_hidden_until_each_hold_is_released(screen, stream, footer):
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


def test_hold_flushes_an_incomplete_line(screen, stream, footer):
    stream.write("name: ")
    assert shown(screen) == []

    footer.hold()

    assert shown(screen) == ["name:"]
    footer.release()


def test_close_erases_the_footer_and_restores_the_stream(screen, stream, footer):
    footer.draw(["one"])
    stream.write("no newline")
    footer.close()
    footer.close()
    stream.write(", nor here\n")

    assert shown(screen) == ["no newline, nor here"]
    assert "write" not in vars(stream)


def test_a_forked_child_prints_without_the_footer(screen, stream, footer):
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


def test_nothing_is_drawn_while_the_terminal_blocks(screen, footer):
    termios.tcflow(screen.slave, termios.TCOOFF)
    footer.draw(["one"])  # does not block

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


def test_only_a_terminal_gets_a_footer(screen, tmp_path, monkeypatch, capsys):
    assert open_footer() is None  # the stream of pytest
    with open(tmp_path / "file", "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert open_footer() is None


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"TERM": "unknown"}], ids=str)
def test_a_terminal_for_plain_text_gets_no_footer(screen, stream, monkeypatch, env):
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    footer = open_footer()
    assert footer is not None
    footer.close()

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert open_footer() is None


def test_output_of_a_process_of_the_flow_overwrites_the_footer(screen, footer):
    footer.draw(["", "one", "two"])
    subprocess.run(["sh", "-c", "echo a; echo b >&2"], stdout=screen.slave, stderr=screen.slave, check=True)
    footer.draw(["ONE"])

    assert shown(screen) == ["a", "b", "", "ONE"]
