"""Objects of `multiprocess` and `multiprocessing` that a flow shares with its works, in real processes."""

from __future__ import annotations

import json
import multiprocessing
import socket
from pathlib import Path

import multiprocess.connection  # a package has objects to share once such a module is loaded
import pytest
from sharing_work import Holds

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.errors import ArgumentError, StateError

pytestmark = pytest.mark.dependencies

PROGRAM = Path(__file__).with_name("sharing.py")


@pytest.mark.parametrize(
    ("package", "start_method", "place"),
    [
        ("multiprocess", "spawn", "script"),
        ("multiprocess", "forkserver", "module"),
        ("multiprocessing", "spawn", "module"),
        ("multiprocessing", "forkserver", "script"),
    ],
)
def test_a_work_shares_all_kinds_of_objects_also_after_a_crash_and_a_restart(
    package, start_method, place, forked_scripts
):
    done = forked_scripts.run_to_end(PROGRAM, package, start_method, place)

    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert [line for line in said if ", attempt 1 of 2; " not in line] == []
    found = json.loads(done.stdout)
    name, parent, key = found.pop("flow")
    assert (name, parent) == ("MainProcess", None)
    seen = ["root.work", ["MainProcess", found.pop("pid"), True], key]
    assert found == {
        "answers": [[seen, False, "first"], [seen, False, "second"]],
        "queue": [["queue", 1], ["queue", 2]],
        "simple": "simple",
        "joinable": "joinable",
        "pipes": ["writer", "duplex"],
        "event": True,
        "numbers": [2, 2, 2, 2],
        "memory": [2, 2, "some"],
        "left": 0,
    }


class Root(LightningFlow):
    def __init__(self, held, *arguments, **kwargs):
        super().__init__()
        self.work = Holds(held, **kwargs)
        self._arguments = arguments

    def run(self):
        self.work.run(*self._arguments)
        if self.work.has_succeeded:
            self.stop()


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("runner", ["processes", "inline"])
@pytest.mark.parametrize("package", [multiprocess, multiprocessing])
def test_connections_of_the_default_context_reach_the_works_of_each_runner(package, runner, parallel):
    reader, writer = package.Pipe(duplex=False)
    with reader, writer:
        LightningApp(Root([writer], "hello", parallel=parallel)).run(runner=runner)

        assert reader.recv() == "hello"


def test_more_descriptors_than_one_message_holds_reach_a_work():
    pipes = [multiprocess.Pipe(duplex=False) for _ in range(260)]
    numbers = list(range(len(pipes)))

    LightningApp(Root([writer for _, writer in pipes], *numbers)).run()

    assert [reader.recv() for reader, _ in pipes] == numbers
    for connections in pipes:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("kind", ["Lock", "Queue", "Event"])
@pytest.mark.parametrize("package", [multiprocess, multiprocessing])
def test_what_only_a_forked_process_could_use_is_refused_by_name(package, kind):
    made = getattr(package.get_context("fork"), kind)()

    with pytest.raises(ArgumentError) as raised:
        LightningApp(Root(made)).run()

    assert str(raised.value) == (
        "root.work can't be sent to its process: its attribute '_held' holds "
        f"<{type(made).__module__}.{kind}>: a lock of the fork context is valid only in forked processes, "
        f'and works are not forked. Create it with {package.__name__}.get_context("spawn").'
    )


def test_a_process_object_and_a_socket_are_refused():
    with socket.socket() as held, pytest.raises(ArgumentError, match=r"'_held' holds <socket\.socket>: "):
        LightningApp(Root(held)).run()
    with pytest.raises(ArgumentError, match=r"'_held' holds .*Process>: a process object is of use only in"):
        LightningApp(Root(multiprocess.get_context("spawn").Process())).run()


def test_a_shared_object_is_no_state():
    reader, writer = multiprocess.Pipe()
    with reader, writer, pytest.raises(StateError, match="connection"):
        Root([]).work.connection = reader
