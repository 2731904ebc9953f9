"""The effect of Ctrl-C, Ctrl-Z and similar signals on an app and its works."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
import threading

import psutil
import pytest
import tasks
from harness import Flow, Harness

from lightning_lite.main_messages import WorkExited
from lightning_lite.messages import StateChanged, StopWork
from lightning_lite.runners.signals import EndingSignals
from lightning_lite.testing import poll_until

from tests.support.processes import wait_until_gone

# A Python program that ends by `KeyboardInterrupt` dies of the signal, which shells show as 130.
EXITS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: -signal.SIGINT}


@pytest.mark.parametrize("signum", EXITS)
def test_a_signal_ends_the_app_in_order(tmp_path, signum: signal.Signals):
    flow = Flow(tmp_path, "idle", "spin", stderr=subprocess.DEVNULL)

    assert flow.end(signum) == EXITS[signum]
    assert (tmp_path / "root.w0").read_text() == (tmp_path / "root.w1").read_text() == "exit\n"
    wait_until_gone(*flow.pids)


def test_a_second_signal_ends_the_works_at_once(tmp_path):
    flow = Flow(tmp_path, *2 * ["hang_ignoring_everything"], grace=3600.0, stderr=subprocess.DEVNULL)
    flow.process.send_signal(signal.SIGINT)
    assert flow.line() == "closing\n"

    assert flow.end(signal.SIGTERM) == -signal.SIGINT
    wait_until_gone(*flow.pids)


def test_ctrl_c_on_a_terminal_is_for_the_flow_alone(tmp_path):
    master, slave = pty.openpty()
    try:
        flow = Flow(
            tmp_path, "hang", "hang", stdin=slave, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.write(master, b"\x03")
        errors = flow.process.stderr.read()

        assert flow.wait() == -signal.SIGINT
        assert errors.count("Traceback") == 1
        assert (tmp_path / "root.w0").read_text() == "exit\n"
        wait_until_gone(*flow.pids)
    finally:
        os.close(master)
        os.close(slave)


def test_ctrl_z_stops_the_works_too_and_fg_continues_them(tmp_path):
    # In a group of its own, as a shell would have it: the system does not stop a group without a shell.
    flow = Flow(tmp_path, "spin", "spin", process_group=0, stderr=subprocess.DEVNULL)
    guardian, *_ = [pid for pid in flow.pids if os.getsid(pid) == pid]
    works = [psutil.Process(pid) for pid in flow.pids if pid != guardian]
    works = [work for work in works if not work.children()]  # without the fork server, which sleeps anyhow
    everybody = [psutil.Process(flow.process.pid), *works]

    flow.process.send_signal(signal.SIGTSTP)
    poll_until(lambda: all(one.status() == psutil.STATUS_STOPPED for one in everybody))

    flow.process.send_signal(signal.SIGCONT)
    poll_until(lambda: all(one.status() != psutil.STATUS_STOPPED for one in everybody))

    assert flow.line() == "resumed\n"
    assert flow.end(signal.SIGTERM) == 143


def test_handlers_are_what_they_were_afterwards(harness: Harness):
    signums = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
    before = [signal.getsignal(signum) for signum in signums]

    with EndingSignals(harness.runner):
        assert [signal.getsignal(signum) for signum in signums] != before

    assert [signal.getsignal(signum) for signum in signums] == before


def test_what_is_ignored_or_handled_by_the_user_stays_so(harness: Harness):
    def handler(*_):
        pass

    previous = [signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGTERM, handler)]
    try:
        with EndingSignals(harness.runner):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) == handler
    finally:
        signal.signal(signal.SIGHUP, previous[0])
        signal.signal(signal.SIGTERM, previous[1])


def test_other_threads_are_left_alone(harness: Harness):
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with EndingSignals(harness.runner):
                pass
        except BaseException as error:  # noqa: BLE001 - it would be lost in the thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert failures == []


def test_a_signal_splits_no_message(harness: Harness):
    def interrupt(*_: object) -> None:
        if harness.runner._critical._is_inside:
            harness.runner.interrupt(TimeoutError())

    harness.start()
    harness.call(tasks.count_forever)
    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    seen: list[int] = []
    interrupts = 0
    try:
        while interrupts < 100:
            try:
                messages = harness.runner.wait(60)
            except TimeoutError:
                interrupts += 1
            else:
                seen += [
                    int(message.changes["i"]) for message in messages if isinstance(message, StateChanged)
                ]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    harness.runner.send(StopWork("root.a", 60.0))

    assert harness.exit_of() == WorkExited("root.a", 0)  # a message that was cut in two would damage its pipe
    assert seen == sorted(set(seen))
