"""An error in an app is reported early, once, and with its remedy."""

from __future__ import annotations

import threading

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import (
    ArgumentError,
    ComponentDefinitionError,
    ComponentError,
    DetachedError,
    NestedAppError,
    PauseSwallowed,
    RunnerError,
    SettingError,
    StateError,
)
from lightning_lite.testing import EmptyFlow, EmptyWork

RUNNERS = ["inline", "processes"]


class Flow(LightningFlow):
    """A flow that calls a function."""

    def __init__(self, act, **components):
        super().__init__()
        for name, component in components.items():
            setattr(self, name, component)
        self._act = act

    def run(self):
        self._act(self)


class Takes(LightningWork):
    def run(self, value=None):
        return value


@pytest.mark.parametrize(
    ("root", "error", "message"),
    [
        ("flow", ComponentDefinitionError, "a LightningFlow or a LightningWork, found str"),
        (LightningFlow(), ComponentDefinitionError, r"does not override the `run\(\)` method"),
    ],
)
def test_a_root_that_is_none_is_refused_at_construction(root, error, message):
    with pytest.raises(error, match=message):
        LightningApp(root)


def test_an_unknown_log_level_or_runner_is_named():
    with pytest.raises(ComponentError, match=r"Log Level should be in \['debug', 'info'\]. Found loud"):
        LightningApp(EmptyFlow(), log_level="loud")
    with pytest.raises(
        SettingError, match=r"runner must be 'processes' or 'inline' or 'ray'. Found 'threads'"
    ):
        LightningApp(EmptyFlow()).run(runner="threads")


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_argument_that_cannot_travel_is_named_in_the_line_of_the_caller(runner):
    def act(flow):
        flow.work.run(value=threading.Lock())

    with pytest.raises(ArgumentError, match=r"root\.work\.run: argument 'value'") as raised:
        LightningApp(Flow(act, work=Takes())).run(runner)

    assert any(entry.name == "act" for entry in raised.traceback)


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_private_attribute_that_cannot_travel_is_named(runner):
    class Holds(LightningWork):
        def __init__(self):
            super().__init__()
            self._lock = threading.Lock()

        def run(self):
            pass

    with pytest.raises(
        ArgumentError, match=r"root\.work can't be sent to its process: its attribute '_lock'"
    ):
        LightningApp(Flow(lambda flow: flow.work.run(), work=Holds())).run(runner)


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_error_of_a_swallowed_pause_names_the_line(runner):
    def act(flow):
        flow.number += 1  # a change, so the waiting pass is cut
        try:
            flow.work.run()
        except BaseException:  # noqa: BLE001 - the test is about that
            pass

    with pytest.raises(PauseSwallowed, match=rf"{__file__}, line {act.__code__.co_firstlineno + 3}"):
        LightningApp(Flow(act, work=Takes(), number=0)).run(runner)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("place", ["except", "finally"])
def test_an_error_in_place_of_a_pause_names_the_line(runner, place: str):
    def act(flow):
        flow.number += 1  # a change, so the waiting pass is cut
        try:
            flow.work.run()
        except BaseException:
            if place == "except":
                raise ValueError("other") from None
            raise
        finally:
            if place == "finally":
                raise ValueError("other")

    with pytest.raises(ValueError, match="other") as caught:
        LightningApp(Flow(act, work=Takes(), number=0)).run(runner)

    (note,) = (note for note in caught.value.__notes__ if "was cut" in note)
    assert f"({__file__}, line {act.__code__.co_firstlineno + 3})" in note
    assert "bare `except:`" in note


def test_an_error_of_a_flow_that_was_cut_before_has_no_note_about_that():
    def act(flow):
        flow.number = min(flow.number + 1, 3)
        flow.work.run()
        raise ValueError("other")

    with pytest.raises(ValueError, match="other") as caught:
        LightningApp(Flow(act, work=Takes(), number=0)).run("inline")

    assert not [note for note in caught.value.__notes__ if "was cut" in note]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_flow_may_catch_exceptions_around_a_call(runner):
    answers = []

    def act(flow):
        try:
            answers.append(flow.work.run(7))
        except Exception as error:  # noqa: BLE001 - the test is about that
            answers.append(error)
        flow.stop()

    LightningApp(Flow(act, work=Takes())).run(runner)

    assert answers == [7]


@pytest.mark.parametrize("runner", RUNNERS)
def test_state_that_is_not_json_is_refused_where_it_is_set(runner):
    class Sets(LightningWork):
        def __init__(self):
            super().__init__()
            self.values = []

        def run(self, how):
            if how == "assign":
                self.values = {1, 2}
            else:
                self.values.append({1, 2})

    for how in ("assign", "append"):
        with pytest.raises(Exception, match=r"root\.work\.values.*of type builtins\.set") as raised:
            LightningApp(Flow(lambda flow, how=how: flow.work.run(how), work=Sets())).run(runner)
        assert "sorted(value)" in str(raised.value)


def test_a_work_that_is_no_attribute_of_the_flow_cannot_be_run_by_it():
    def act(flow):
        EmptyWork().run()

    with pytest.raises(
        DetachedError, match=r"Failed to create process for EmptyWork\. Make sure to set this work"
    ):
        LightningApp(Flow(act)).run("inline")


def test_an_attribute_that_was_not_declared_is_refused_while_the_app_runs():
    def act(flow):
        flow.late = 1

    with pytest.raises(StateError, match=r"Cannot set attributes that were not defined in __init__: late\."):
        LightningApp(Flow(act)).run("inline")


def test_an_app_inside_a_flow_is_an_error():
    with pytest.raises(NestedAppError, match="inside 'root'"):
        LightningApp(Flow(lambda flow: LightningApp(EmptyFlow()).run())).run("inline")


def test_the_root_folder_must_be_one(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(RunnerError, match="can't write to its root folder"):
        LightningApp(Flow(lambda flow: flow.stop()), root_dir=tmp_path / "file").run("inline")
