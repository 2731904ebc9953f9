"""The defaults of a runner: a minimal one works with signals and commands, and refuses the rest."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from lightning_lite.app.commands import Commands
from lightning_lite.errors import CommandError
from lightning_lite.main_messages import Report, Request
from lightning_lite.runners.base import Runner, RunnerOptions
from lightning_lite.runners.inline.runner import InlineRunner
from lightning_lite.runners.processes.runner import ProcessRunner
from lightning_lite.runners.remote.runner import RemoteRunner
from lightning_lite.runners.signals import EndingSignals
from lightning_lite.work_row import WorkRow


class MinimalRunner(Runner):
    """Implements only the abstract methods of a runner."""

    def send(self, request: Request) -> None:
        pass

    def wait(self, timeout: float | None) -> Sequence[Report]:
        return []

    def wake(self) -> None:
        pass

    def close(self, timeout: float) -> Sequence[Report]:
        return []


class App:
    """The part of an app that commands use."""

    thread = 0

    def __init__(self) -> None:
        self.runner: Runner = MinimalRunner()

    def busy_for(self) -> None:
        return None

    def snapshot_works(self) -> list[WorkRow]:
        return [WorkRow("root.a", "running")]

    def end_from_outside(self) -> None:
        pass


def test_a_runner_without_one_of_the_four_methods_can_not_be_created():
    with pytest.raises(TypeError, match="abstract"):
        Runner()


def test_a_minimal_runner_knows_no_processes():
    assert MinimalRunner().places() == {}


@pytest.mark.parametrize("command", ["stop", "kill", "restart"])
def test_a_command_that_a_runner_can_not_execute_is_refused(command):
    with pytest.raises(CommandError, match=r"MinimalRunner can't end works on request from another terminal"):
        Commands(App()).answer({"command": command, "work": "root.a"})


def test_stacks_that_a_runner_can_not_show_are_refused():
    with pytest.raises(CommandError, match=r"MinimalRunner can't show the stacks of works"):
        Commands(App()).answer({"command": "stack", "work": "root.a"})


@pytest.mark.parametrize("command", ["kill", "stop", "restart"])
def test_a_runner_that_can_not_kill_gets_no_request_to_do_it(command, tmp_path: Path):
    app = App()
    runner = app.runner = InlineRunner(RunnerOptions(str(tmp_path), str(tmp_path)))

    with pytest.raises(CommandError, match=r"root\.a has no process that could be killed"):
        Commands(app).answer({"command": command, "work": "root.a", "timeout": 0})

    assert list(runner.wait(0.0)) == []
    runner.close(0.0)


@pytest.mark.parametrize("runner", [ProcessRunner, InlineRunner, RemoteRunner])
@pytest.mark.parametrize("method", ["take_external", "write_stacks"])
def test_an_ability_is_declared_where_it_is_implemented(runner: type[Runner], method: str):
    assert getattr(runner, f"can_{method}") == (method in vars(runner))


def test_ctrl_c_is_raised_at_once_and_ctrl_z_is_refused():
    suspend = signal.getsignal(signal.SIGTSTP)
    refused = []

    with EndingSignals(MinimalRunner(), on_refused=lambda: refused.append("ctrl-z")):
        signal.raise_signal(signal.SIGTSTP)  # else it would stop this process here
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert refused == ["ctrl-z"]
    assert signal.getsignal(signal.SIGTSTP) == suspend
