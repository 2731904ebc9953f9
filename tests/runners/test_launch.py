"""How processes start, and the errors when the machine refuses."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tasks
from harness import DEADLINE, Harness

from lightning_lite.errors import RunnerError
from lightning_lite.main_messages import KillWork, PrepareWork, WorkExited
from lightning_lite.messages import StartFailed, StopWork, WorkStarted
from lightning_lite.runners.processes import factory, launcher, process
from lightning_lite.runners.processes.guardian import Guardian
from lightning_lite.values.pickling import unpack

from tests.support.limits import limited


def test_objects_that_are_no_text_in_the_search_path_or_the_arguments_have_no_effect(
    harness: Harness, monkeypatch
):
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/nowhere"), 3])
    monkeypatch.setattr(sys, "argv", ["app.py", Path("data"), 3])
    harness.up()
    assert harness.run(tasks.answer, 1) == 1


def test_works_started_from_short_threads_live_on(harness: Harness):
    names = ["root.a", "root.b"]
    for name in names:
        thread = threading.Thread(target=harness.start, args=(name,))
        thread.start()
        thread.join()

    for name in names:
        harness.until(WorkStarted, name)
    assert [harness.run(tasks.answer, name, name=name) for name in names] == names


def test_a_work_whose_folder_is_not_there_fails_to_start(harness: Harness):
    harness.start(cwd="/nowhere/at/all")

    failure = harness.until(StartFailed).failure

    assert "/nowhere/at/all" in failure.message
    assert harness.exit_of() == WorkExited("root.a", 1)


def test_an_environment_that_can_not_be_fails_to_start(harness: Harness):
    for env in ({"A=B": "1"}, {"A": "nul\0"}):
        harness.start(env=env)

        assert harness.until(StartFailed).failure.reason == "start_failed", env
        assert harness.exit_of() == WorkExited("root.a", None), env


#: Errors of the system, and the cause that each message names.
LIMITS = {
    errno.EAGAIN: "ulimit -u",
    errno.ENOMEM: "memory",
    errno.EMFILE: "ulimit -n",
    errno.ENFILE: "fs.file-max",
}


def test_a_limit_of_the_machine_is_named_and_others_start(harness: Harness, monkeypatch):
    harness.up("root.before")
    places = {
        "spawn": (factory, "spawn_program"),
        "guardian": (Guardian, "watch"),
        "pipes": (process, "open_pipes"),
    }
    for (where, place), (number, words) in itertools.product(places.items(), LIMITS.items()):

        def refuse(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        name = f"root.{where} {errno.errorcode[number]}"
        with monkeypatch.context() as patch:
            patch.setattr(*place, refuse)
            harness.start(name)
            failure = harness.until(StartFailed, name).failure
            assert harness.exit_of(name).exitcode in (None, -9)
        assert words in failure.message
        assert failure.message.startswith(f"{name} could not start: ")
        assert isinstance(unpack(failure.error), RunnerError), name
    harness.start("root.after")

    assert (
        harness.run(tasks.answer, 1, name="root.before")
        == harness.run(tasks.answer, 2, name="root.after") - 1
    )


def test_too_many_open_files_fail_the_works_that_need_them_and_no_other(harness: Harness):
    harness.up("root.first")
    lowest_free = os.dup(0)
    os.close(lowest_free)
    with limited(resource.RLIMIT_NOFILE, lowest_free + 24):
        names = [f"root.w{i}" for i in range(10)]
        for name in names:
            harness.start(name)
        ends = [
            harness.until(lambda message: isinstance(message, WorkStarted | WorkExited), name)
            for name in names
        ]
        failures = [
            message.failure.message for message in harness.messages if isinstance(message, StartFailed)
        ]

        assert 0 < sum(isinstance(end, WorkStarted) for end in ends) < 10
        assert len(failures) == sum(isinstance(end, WorkExited) for end in ends)
        assert all("too many open files" in message and "ulimit -n" in message for message in failures)
        assert harness.run(tasks.answer, 1, name="root.first") == 1


def test_too_many_threads_fail_the_work(harness: Harness, monkeypatch):
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(launcher, "Thread", NoThread)
        harness.start()
        assert "ulimit -u" in harness.until(StartFailed).failure.message
        assert harness.exit_of() == WorkExited("root.a", None)

    harness.start()
    assert harness.run(tasks.answer, 1) == 1


@pytest.mark.parametrize("request_", [StopWork("root.a", DEADLINE), KillWork("root.a")])
def test_a_work_may_be_ended_before_its_process_is_up(harness: Harness, request_):
    for _ in range(3):
        harness.start()
        harness.runner.send(request_)

        assert harness.exit_of().exitcode in (None, 0, -9)
        # It may have come up before it heard of that.
        assert all(isinstance(message, WorkStarted) for message in harness.messages)
        harness.messages.clear()


def test_a_process_boots_before_it_gets_its_work(harness: Harness, tmp_path):
    harness.runner.send(PrepareWork("root.a", {"SET": "1"}, str(tmp_path)))
    while not (place := harness.runner.places().get("root.a")):
        harness.runner.wait(0.001)

    harness.start()

    seen = harness.run(tasks.environment)
    assert (seen["environ"]["SET"], seen["cwd"], seen["group"]) == ("1", str(tmp_path), place.pid)


def test_a_process_that_could_not_begin_fails_once(harness: Harness, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(process, "open_pipes", refuse)
        harness.runner.send(PrepareWork("root.a"))
    harness.start()
    harness.exit_of()

    assert [type(message) for message in harness.messages] == [StartFailed]
    harness.messages.clear()
    harness.start()
    assert harness.run(tasks.answer, 1) == 1


def test_a_process_that_never_gets_its_work_is_ended_at_once(tmp_path):
    harness = Harness(str(tmp_path))
    harness.runner.send(PrepareWork("root.a"))
    harness.runner.send(PrepareWork("root.b"))
    while "root.b" not in harness.runner.places():
        harness.runner.wait(0.001)

    ends = harness.runner.close(3600.0)

    assert {end.work for end in ends if isinstance(end, WorkExited)} == {"root.a", "root.b"}


def test_a_work_has_one_process_at_a_time(harness: Harness):
    harness.start()

    with pytest.raises(RunnerError, match=r"root\.a has a process already"):
        harness.start()


def test_a_process_that_the_flow_forks_leaves_its_works_alone(tmp_path):
    script = f"""
import os, sys, warnings
sys.path[:0] = {sys.path!r}
import tasks
from harness import Harness
warnings.filterwarnings("ignore", "This process .* is multi-threaded")  # since Python 3.12
harness = Harness({str(tmp_path)!r})
harness.up("root.a", "root.b")
while not all(process.registered for process in harness.runner._processes.values()):
    harness.runner.wait(0.01)
pid = os.fork()
if pid == 0:
    harness.runner.close(5)
    sys.exit(len(os.listdir("/proc/self/fd")))
fds_of_the_forked = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(harness.run(tasks.answer, 1), harness.run(tasks.answer, 2, name="root.b"))
print(len(os.listdir("/proc/self/fd")) - fds_of_the_forked)
harness.runner.close(5)
"""

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    # Four ends of each work, the poller, both ends of the bell, the pipe of the guardian.
    assert (done.stdout, done.stderr) == ("1 2\n12\n", "")


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-", ">&- 2>&-"])
def test_closed_standard_streams_have_no_effect(tmp_path, closed: str):
    script = tmp_path / "app.py"
    script.write_text(f"""
import os, sys
sys.path[:0] = {sys.path!r}
import tasks
from harness import Harness
told = ""
for method in ("spawn", "forkserver"):
    os.environ["LIGHTNING_LITE_START_METHOD"] = method
    harness = Harness({str(tmp_path)!r} + "/" + method)
    harness.start()
    harness.run(tasks.say, "Hello")
    told += f"{{method}} {{harness.run(tasks.answer, 7)}} "
    harness.runner.close(5)
    told += harness.log()
open({str(tmp_path / "answer")!r}, "w").write(told)
""")

    subprocess.run(["sh", "-c", f'exec "$0" "$1" {closed}', sys.executable, script], check=True)

    assert (tmp_path / "answer").read_text() == "spawn 7 Hello\nforkserver 7 Hello\n"


def test_everything_works_without_pidfds(harness: Harness, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")

    harness.start()
    assert harness.run(tasks.answer, 1) == 1
    harness.runner.send(StopWork("root.a", DEADLINE))
    assert harness.exit_of() == WorkExited("root.a", 0)

    harness.start()
    harness.call(tasks.die, "SIGSEGV")
    assert harness.exit_of() == WorkExited("root.a", -11)
    harness.messages.clear()

    harness.start()
    harness.call(tasks.spin)
    harness.hangs()
    harness.runner.send(KillWork("root.a"))
    assert harness.exit_of() == WorkExited("root.a", -9)
