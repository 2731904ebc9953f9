"""Arguments that an app refuses, and its properties before it runs."""

from __future__ import annotations

import pytest

from lightning_lite.app.app import LightningApp
from lightning_lite.context import Caller, acting_as
from lightning_lite.errors import ComponentDefinitionError, ComponentError, NestedAppError, SettingError
from lightning_lite.tree.flow import LightningFlow

from tests.support.flows import do_nothing
from tests.support.simulation import ScriptedFlow, Work


class Bare(LightningFlow):
    pass


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (
            Bare,
            r"The root flow passed to `LightningApp` does not override.*Define `run\(\)` in Bare",
        ),
        (LightningFlow, r"does not override the `run\(\)` method"),
        (dict, r"LightningApp\(root\): a LightningFlow or a LightningWork, found dict"),
    ],
)
def test_a_root_that_is_no_flow_or_work_is_refused(root, message):
    with pytest.raises(ComponentDefinitionError, match=message):
        LightningApp(root())


def test_the_root_of_an_app_stands_alone():
    parent = ScriptedFlow(do_nothing, child=ScriptedFlow(do_nothing))

    with pytest.raises(
        ComponentError, match=r"The root of an app must not be part of another flow; root\.child is"
    ):
        LightningApp(parent.child)


@pytest.mark.parametrize("level", ["warning", "INFO", 7])
def test_the_log_level_is_info_or_debug(level):
    with pytest.raises(ComponentError, match=r"Log Level should be in \['debug', 'info'\]\. Found"):
        LightningApp(ScriptedFlow(do_nothing), log_level=level)


@pytest.mark.parametrize("max_running", [0, -1, 1.5, True, "2"])
def test_max_running_is_a_whole_number(max_running):
    with pytest.raises(ComponentError, match=r"max_running must be a whole number, 1 or more"):
        LightningApp(ScriptedFlow(do_nothing), max_running=max_running)


def test_a_work_can_be_the_root():
    app = LightningApp(Work())

    assert [work.name for work in app.works] == ["root.work"]
    assert app.ready is False


@pytest.mark.parametrize(("kind", "component"), [("work", "root.work"), ("flow", "root")])
def test_an_app_inside_a_work_or_a_flow_is_an_error(kind, component):
    app = LightningApp(ScriptedFlow(do_nothing))

    with (
        acting_as(Caller(kind, component)),
        pytest.raises(NestedAppError, match=rf"app\.run\(\) was called inside '{component}'"),
    ):
        app.run()


def test_a_runner_that_does_not_exist_is_named():
    with pytest.raises(
        SettingError, match=r"runner must be 'processes' or 'inline' or 'ray'. Found 'threads'"
    ):
        LightningApp(ScriptedFlow(do_nothing)).run(runner="threads")


def test_an_app_shows_its_tree_its_state_and_its_status():
    root = ScriptedFlow(do_nothing, counter=1, child=ScriptedFlow(do_nothing, work=Work()))
    app = LightningApp(root)

    assert app.flows == [root, root.child]
    assert app.named_works == [("root.child.work", root.child.work)]
    assert app.get_component_by_name("root.child.work") is root.child.work
    assert app.state["vars"] == {"counter": 1}
    assert app.state["app_state"] == {"stage": "blocking"}
    assert app.status.work_statuses["root.child.work"].stage == "not_started"
    assert app.status.is_ui_ready
