"""The resources that works need: the meaning of `CloudCompute`, and the table that a user gives."""

from __future__ import annotations

import pytest

from lightning_lite.clock import Moment
from lightning_lite.context import Caller
from lightning_lite.engine.machine import Machine
from lightning_lite.errors import SettingError
from lightning_lite.main_messages import PrepareWork, StartWork
from lightning_lite.messages import RunCall, WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.resources import Resources, read_table, resources_of
from lightning_lite.tree.cloud import CloudCompute

from tests.support.simulation import ScriptedFlow, Work, only


def test_both_requests_for_a_process_have_what_its_cloud_compute_means():
    root = ScriptedFlow(
        lambda flow: None,
        plain=Work(),
        cpu=Work(cloud_compute=CloudCompute("cpu")),
        gpu=Work(cloud_compute=CloudCompute("GPU", colocation_group_id="near")),
        big=Work(cloud_compute=CloudCompute("big")),
        other=Work(cloud_compute=CloudCompute("TPU-v4")),
        capitals=Work(cloud_compute=CloudCompute("BIG")),
    )
    kinds = read_table({"big": {"cpus": 4, "memory": "2 GB", "custom": {"licence": 1}}}, "compute")
    machine = Machine(root, Caller("flow", "root", "/nowhere"), kinds=kinds)

    prepared = machine.prepare()
    started = only(machine.open(Moment(0.0, 0.0)).requests, StartWork)

    asked = {message.work: message.resources for message in prepared if isinstance(message, PrepareWork)}
    assert asked == {
        "root.plain": Resources(),
        "root.cpu": Resources(),
        "root.gpu": Resources(gpus=1.0, group="near"),
        "root.big": Resources(4.0, 0.0, 2 * 10**9, (("licence", 1.0),)),
        "root.other": Resources(custom=(("TPU-v4", 1.0),)),
        "root.capitals": Resources(4.0, 0.0, 2 * 10**9, (("licence", 1.0),)),
    }
    assert {message.work: message.resources for message in started} == asked


@pytest.mark.parametrize("name", ["memory", "object_store_memory", "bundle"])
def test_a_name_that_ray_keeps_is_refused_before_a_process_starts(name):
    root = ScriptedFlow(lambda flow: None, work=Work(cloud_compute=CloudCompute(name)))
    machine = Machine(root, Caller("flow", "root", "/nowhere"), kinds={})

    with pytest.raises(SettingError, match=rf"CloudCompute\('{name}'\).*Ray keeps that name"):
        machine.prepare()
    assert resources_of(name, table={name: Resources(cpus=1.0)}) == Resources(cpus=1.0)


@pytest.mark.parametrize(("kinds", "is_in_message"), [(None, False), ({}, True)])
def test_big_arguments_are_in_the_messages_if_a_machine_may_not_see_the_folder(
    tmp_path, kinds, is_in_message
):
    root = ScriptedFlow(lambda flow: flow.work.run(bytes(5_000_000)), work=Work(parallel=True))
    machine = Machine(root, Caller("flow", "root", str(tmp_path), False, str(tmp_path)), kinds=kinds)
    now = Moment(0.0, 0.0)
    machine.open(now)
    machine.step(now)
    started = machine.step(now, [WorkStarted("root.work", Place("elsewhere", 1))])

    (call,) = only(started.requests, RunCall)

    assert (len(call.arguments) > 5_000_000) == is_in_message


def test_a_table_replaces_what_a_name_means_also_that_of_works_without_one():
    table = read_table({"gpu": {"gpus": 2, "cpus": 8}, "default": {"cpus": 0.5}}, "compute")

    assert resources_of("gpu", table=table) == Resources(cpus=8.0, gpus=2.0)
    assert resources_of("default", table=table) == Resources(cpus=0.5)
    assert resources_of("gpu-fast-multi", table=table) == Resources(gpus=4.0)


def test_a_name_that_differs_from_another_one_by_capitals_only_is_refused():
    with pytest.raises(SettingError, match=r"compute has the name 'a' twice, .*: \['A', 'a'\]"):
        read_table({"A": {"cpus": 1}, "a": {"cpus": 2}}, "compute")


@pytest.mark.parametrize(
    ("text", "nbytes"), [("16 GiB", 2**34), ("1.5kb", 1500), ("64MB", 64 * 10**6), ("2 tib", 2**41), (7, 7)]
)
def test_memory_is_a_number_of_bytes_or_a_text_with_a_unit(text, nbytes):
    assert read_table({"big": {"memory": text}}, "compute")["big"].memory == nbytes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (["gpu"], "compute must be a table of tables, .* Found \\['gpu'\\]"),
        ({"": {}}, "The name of a kind in compute must be a text that is not empty. Found ''"),
        ({"big": 8}, "compute\\['big'\\] must be a table, .* Found 8"),
        (
            {"big": {"cpu": 8}},
            "compute\\['big'\\] can't have 'cpu'; its keys are cpus, gpus, memory, custom.",
        ),
        ({"big": {"cpus": "8"}}, "compute\\['big'\\]\\['cpus'\\] must be a number, 0 or more. Found '8'"),
        ({"big": {"gpus": -1}}, "compute\\['big'\\]\\['gpus'\\] must be a number, 0 or more. Found -1"),
        ({"big": {"cpus": True}}, "\\['cpus'\\] must be a number, 0 or more. Found True"),
        ({"big": {"cpus": float("nan")}}, "\\['cpus'\\] must be a number, 0 or more. Found nan"),
        ({"big": {"memory": "much"}}, "\\['memory'\\] must be a number of bytes, or .* Found 'much'"),
        ({"big": {"memory": 0.5}}, "\\['memory'\\] must be a number of bytes, or .* Found 0.5"),
        ({"big": {"memory": "1.2.3 GB"}}, "\\['memory'\\] must be a number of bytes, or .* Found '1.2.3 GB'"),
        ({"big": {"custom": ["tpu"]}}, "\\['custom'\\] must be a table of amounts, .* Found \\['tpu'\\]"),
        ({"big": {"cpus": 0.00001}}, "\\['cpus'\\] must be 0 or at least 0.0001. Found 1e-05"),
        ({"big": {"gpus": 1.5}}, "\\['gpus'\\] must be a whole number, or a part of one GPU. Found 1.5"),
        ({"big": {"custom": {"": 1}}}, "\\['custom'\\] must be a table of amounts, .* Found {'': 1}"),
        ({"big": {"custom": {2: 1}}}, "\\['custom'\\] must be a table of amounts, .* Found {2: 1}"),
        (
            {"big": {"custom": {"GPU": 1}}},
            "\\['custom'\\] can't have 'GPU', a name that Ray keeps .* with the key 'gpus'.",
        ),
        (
            {"big": {"custom": {"object_store_memory": 1}}},
            "\\['custom'\\] can't have 'object_store_memory', a name that Ray keeps for itself.",
        ),
        ({"big": {"custom": {"tpu": None}}}, "\\['custom'\\]\\['tpu'\\] must be a number, 0 or more. Found"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_place_of_the_fault(data, message):
    with pytest.raises(SettingError, match=message):
        read_table(data, "compute")
