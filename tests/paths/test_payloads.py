"""Objects go from work to work by reference, without passing through the flow, in real apps."""

from __future__ import annotations

import os
import pathlib
import pickle
import re
import sys
import threading
from contextlib import nullcontext

import numpy as np
import pytest
from payload_works import (
    MIB,
    Anonymous,
    Deep,
    Dies,
    Make,
    MakeFolder,
    MakeText,
    Model,
    Returns,
    Use,
)

from lightning_lite import LightningApp, LightningWork
from lightning_lite.context import Caller, acting_as
from lightning_lite.errors import AppFailed, ArgumentError, InvalidValue, StateError
from lightning_lite.storage import Payload, content_digest
from lightning_lite.storage.errors import DriveContextError, DriveDetached, DriveError, DriveNotStored
from lightning_lite.testing import poll_until

from tests.support.flows import Steps, run_steps

pytestmark = pytest.mark.usefixtures("drives_place")

#: Not on an object store: it is about plain files.
only_files = pytest.mark.parametrize("drives_place", ["files"], indirect=True)


class Patient(Steps):
    """Asks again for the steps in the next pass until they have an answer."""

    def run(self):
        self._answer = self._steps(self)
        if self._answer is not None:
            self.stop()


def test_an_object_gets_from_work_to_work_and_the_flow_sees_a_reference_only(own_place):
    def steps(flow):
        flow.make.run(lambda: Model({1: (2, {3})}))
        assert flow.make.data.value is None
        assert flow.make.data.exists_remote()
        flow.make.stop()
        if not flow.make.has_stopped:
            return None
        used = flow.use.run(lambda model: (type(model).__name__, model.weights), flow.make.data)
        return used, flow.use.run(sum, flow.returns.run())

    root = Patient(steps, make=Make(), use=Use(), returns=Returns())
    LightningApp(root).run()

    used, of_answer = root._answer
    assert used == ("Model", {1: (2, {3})}), "the object of a work that has stopped is still there"
    assert of_answer == 3, "a stored payload is an answer"
    data = root.make.data
    assert (data.name, data.origin_name, data.consumer_name) == ("data", "root.make", "root.make")
    assert re.fullmatch("[0-9a-f]{40}", data.hash)
    assert os.listdir() == []


def test_an_object_arrives_in_an_attribute_and_deep_in_an_argument():
    def steps(flow):
        flow.make.run(lambda: [1, 2])
        assert flow.make.data.value is None
        flow.use.data = flow.make.data
        return flow.use.run(sum), flow.deep.run({"here": (flow.make.data,)})

    root = run_steps(steps, "inline", make=Make(), use=Use(), deep=Deep())

    assert root._answer == (3, 3)


def test_a_new_object_is_a_new_call_and_the_same_one_is_not():
    def steps(flow):
        flow.make.run(lambda: 1)
        for _ in range(2):
            flow.use.run(float, flow.make.data)
        flow.make.run(lambda: 1, number=2)
        return [flow.use.run(float, flow.make.data) for _ in range(2)]

    root = run_steps(steps, "inline", make=Make(), use=Use())

    assert root._answer == [1.0, 1.0]
    assert root.use.runs == 2


def test_equal_objects_made_twice_are_two_versions(tmp_path):
    one, two = Payload(1), Payload(1)
    with acting_as(Caller("work", "root.make")):
        one.attached("root.make", "data")
        two.attached("root.make", "data")

    assert one.call_key() != two.call_key()
    assert one.call_key()[:2] == two.call_key()[:2] == ("root.make", "data")
    assert one.hash == two.hash
    assert pickle.loads(pickle.dumps(one)).call_key() == one.call_key()


def test_a_big_array_costs_no_memory_and_belongs_to_its_receiver(own_place):
    size = 32 * MIB // 8

    def steps(flow):
        flow.make.run(lambda: np.ones(size, dtype=np.int64))
        return flow.use.run(flow.make.data), flow.other.run(flow.make.data)

    root = run_steps(steps, make=Make(), use=Anonymous(), other=Anonymous())

    for total, first, writeable, grown in root._answer:
        assert (total, first, writeable) == (size // 512, 7, True)
        assert grown < 16


@only_files
def test_a_subclass_says_how_it_is_saved_and_loaded(own_place, tmp_path):
    def steps(flow):
        flow.make.run()
        return flow.use.run(dict, flow.make.data)

    root = run_steps(steps, "inline", make=MakeFolder(), use=Use())

    assert root._answer == {"a": "1", "b": "2"}
    assert len(list((tmp_path / "root/drives/.payloads/root.make/data").glob("*/a"))) == 1
    assert list((tmp_path / "root/drafts").iterdir()) == []


def test_the_script_can_read_a_payload_after_its_app_has_ended(own_place):
    root = Steps(lambda flow: flow.make.run(lambda: Model(1)), make=Make())
    LightningApp(root, root_dir=own_place / "app").run("inline")

    assert type(root.make.data.value) is Model


def test_a_resumed_app_still_has_its_payloads(own_place):
    def steps(flow):
        flow.make.run(lambda: [1, 2])
        if not os.path.exists("repaired"):
            raise ArithmeticError
        return flow.use.run(sum, flow.make.data)

    with pytest.raises(ArithmeticError):
        run_steps(steps, "inline", make=Make(), use=Use())
    pathlib.Path("repaired").touch()
    root = Steps(steps, make=Make(), use=Use())
    LightningApp(root).run("inline", resume=True)

    assert root._answer == 3


def damage_keeping_times(path: pathlib.Path) -> None:
    """Change bytes in the middle of a file, as a failing disk does: its size and times stay."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def stored_file(root: pathlib.Path) -> pathlib.Path:
    """Return the only file of the only payload."""
    (path,) = (path for path in root.glob("drives/.payloads/root.make/data/**/*") if path.is_file())
    return path


def start_over(steps, make: LightningWork, *, runner: str, fails: bool, resume: bool = True) -> Steps:
    """Run the steps with new works; `fails` ends the app as failed, so that its run can be resumed."""

    def all_steps(flow):
        answer = steps(flow)
        if fails:
            flow.fail("enough")
        return answer

    root = Steps(all_steps, make=make, use=Use())
    with pytest.raises(AppFailed, match="enough") if fails else nullcontext():
        LightningApp(root).run(runner, resume=resume)
    return root


@only_files
@pytest.mark.parametrize("runner", ["inline", "processes"])
def test_a_resume_refuses_a_payload_that_was_damaged_without_a_change_of_its_times(
    runner, own_place, tmp_path
):
    def make(flow):
        flow.make.run(lambda: np.ones(MIB))

    def use(flow):
        make(flow)
        return flow.use.run(np.sum, flow.make.data)

    start_over(make, Make(), runner=runner, fails=True, resume=False)
    damage_keeping_times(stored_file(tmp_path / "root"))

    with pytest.raises(DriveError, match="its content does not match its digest"):
        start_over(use, Make(), runner=runner, fails=False)


@only_files
def test_a_second_resume_in_one_process_compares_again(own_place, tmp_path):
    def steps(number):
        def use(flow):
            flow.make.run(lambda: np.ones(MIB))
            return flow.use.run(np.sum, flow.make.data, number)

        return use

    start_over(steps(0), Make(), runner="inline", fails=True, resume=False)
    start_over(steps(1), Make(), runner="inline", fails=True)
    damage_keeping_times(stored_file(tmp_path / "root"))

    with pytest.raises(DriveError, match="its content does not match its digest"):
        start_over(steps(2), Make(), runner="inline", fails=False)


@only_files
def test_a_subclass_with_a_file_of_its_own_is_compared_after_a_resume(own_place, tmp_path):
    def make(flow):
        flow.make.run()

    def use(flow):
        make(flow)
        return flow.use.run(len, flow.make.data)

    start_over(make, MakeText(), runner="inline", fails=True, resume=False)
    damage_keeping_times(stored_file(tmp_path / "root"))

    with pytest.raises(DriveError, match="its content does not match its digest"):
        start_over(use, MakeText(), runner="inline", fails=False)


@only_files
def test_a_live_run_reads_no_payload_for_its_digest_and_a_resumed_one_reads_it_once(own_place, monkeypatch):
    reads = []
    add_file = content_digest._add_file
    monkeypatch.setattr(content_digest, "_add_file", lambda *args: (reads.append(1), add_file(*args)))

    def use_twice(first):
        def steps(flow):
            flow.make.run(lambda: np.ones(MIB))
            return [flow.use.run(np.sum, flow.make.data, number) for number in (first, first + 1)]

        return steps

    start_over(use_twice(0), Make(), runner="inline", fails=True, resume=False)
    assert len(reads) == 1  # when it was written

    root = start_over(use_twice(2), Make(), runner="inline", fails=False)
    assert root._answer == [MIB, MIB]
    assert len(reads) == 2


def test_a_payload_is_refused_in_init_and_in_the_flow():
    class Early(LightningWork):
        def __init__(self):
            super().__init__()
            self.data = Payload(1)

        def run(self):
            """Do nothing."""

    with pytest.raises(StateError, match="should be set only within the run method of the work") as caught:
        Early()
    assert isinstance(caught.value, AttributeError)

    def assign(flow):
        flow.use.data = Payload(1)

    def hand_on(flow):
        flow.use.run(float, Payload(1))

    with pytest.raises(StateError, match="should be set only"):
        run_steps(assign, "inline", use=Use())
    with pytest.raises(
        ArgumentError,
        match=r"every run: Can't pass it to a work, because the Payload is not attached to a LightningWork\. "
        r"Assign it .* before you pass it on\. Pass plain data",
    ):
        run_steps(hand_on, "inline", use=Use())


def test_without_an_app_a_payload_has_its_value():
    make, use = Make(), Use()
    make.run(lambda: [1, 2])

    assert use.run(sum, make.data) == 3
    assert make.data.origin_name is None
    with pytest.raises(DriveDetached):
        make.data.exists_remote()


@pytest.fixture
def payloads():
    """Return a function that stores objects as a work would, and gives the references that others get."""

    def store(*values, kind=Payload, attribute="data"):
        references = []
        for value in values:
            payload = kind(value)
            with acting_as(Caller("work", "root.make")):
                payload.attached("root.make", attribute)
            references.append(pickle.loads(pickle.dumps(payload)))
        return references

    return store


class KeepTwo(Payload):
    keep = 2


@only_files
def test_old_versions_are_removed_and_the_error_says_so(payloads, tmp_path):
    one, two, three = payloads(1, 2, 3, kind=KeepTwo)

    assert (two.value, three.value) == (2, 3)
    with pytest.raises(DriveNotStored, match="is not in the store any more: the work has assigned 2 newer"):
        one.value  # noqa: B018 - reading it is the test
    assert not one.exists_remote()
    assert one.before_run("root.use") is one
    assert len(list((tmp_path / "root/drives/.payloads/root.make/data").iterdir())) == 2


def test_versions_of_a_dead_process_are_kept_for_a_week(payloads, tmp_path, monkeypatch):
    for name in ("old", "young"):
        folder = tmp_path / "root/drives/.payloads/root.make/data"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    os.utime(folder / "old", (1, 1))

    payloads(1)

    assert len(list(folder.iterdir())) == 2
    assert (folder / "young").exists()


def test_what_was_read_outlives_its_version(payloads):
    (array,) = payloads(np.arange(MIB), kind=KeepTwo)
    value = array.value
    payloads(1, 2, 3, kind=KeepTwo)

    assert not array.exists_remote()
    assert int(value.sum()) == MIB * (MIB - 1) // 2


def test_get_reads_again_but_not_for_the_flow(payloads):
    (data,) = payloads([1])
    data.value.append(2)

    assert data.value == [1, 2]
    assert data.get() == data.value == [1]
    with acting_as(Caller("flow", "root")), pytest.raises(DriveContextError, match="can only be called from"):
        data.get()
    with pytest.raises(RuntimeError, match="not attached to a LightningWork"):
        Payload(1).get()


@only_files
def test_an_object_that_can_not_be_pickled_is_not_assigned(tmp_path):
    make = Make()
    make._node.name = "root.make"
    with acting_as(Caller("work", "root.make")), pytest.raises(TypeError, match="cannot pickle"):
        make.data = Payload(threading.Lock())
    assert make.data is None
    assert list((tmp_path / "root/drafts").iterdir()) == []
    assert not (tmp_path / "root/drives/.payloads/root.make").exists()


@only_files
@pytest.mark.parametrize(("runner", "is_deep"), [("processes", True), ("inline", True), ("inline", False)])
def test_a_payload_that_was_not_stored_is_no_answer(runner, is_deep):
    class Answers(LightningWork):
        def run(self, is_deep):
            return [Payload(1)] if is_deep else Payload(1)

    with pytest.raises(
        InvalidValue,
        match=r"can't be sent to the flow: a Payload that no work has stored .* pass that on; in",
    ):
        run_steps(lambda flow: flow.work.run(is_deep), runner, work=Answers())


@only_files
@pytest.mark.parametrize(
    ("make_object", "why"),
    [
        (lambda: Payload(1), "Payload that no work has stored would arrive without its value"),
        (lambda: {"a": [Payload(1)]}, "Payload that no work has stored would arrive without its value"),
        (Use, "Use stays in the process of the flow"),
        (threading.Lock, r"cannot pickle '_thread\.lock' object\. Make it in the work that uses it"),
        (lambda: {"a": threading.Lock()}, "key 'a': TypeError: cannot pickle"),
        (lambda: sys.__stdin__, "cannot pickle '_io"),
    ],
    ids=["payload", "deep payload", "work", "lock", "deep lock", "file"],
)
def test_an_object_that_no_other_work_could_use_is_refused_by_the_name_of_its_attribute(make_object, why):
    make = Make()
    make._node.name = "root.make"
    with (
        acting_as(Caller("work", "root.make")),
        pytest.raises(TypeError, match=rf"root\.make\.data can't be a Payload of <.*>: .*{why}"),
    ):
        make.data = Payload(make_object())
    assert make.data is None


def test_a_stored_payload_may_be_in_another(payloads):
    (inner,) = payloads([1, 2])
    (outer,) = payloads({"inner": inner}, attribute="outer")

    assert outer.value["inner"].value == [1, 2]


@only_files
def test_a_private_attribute_with_a_payload_that_was_not_stored_is_refused():
    class Holds(LightningWork):
        def __init__(self):
            super().__init__()
            self._data = Payload(1)

        def run(self):
            """Do nothing."""

    with pytest.raises(ArgumentError, match=r"attribute '_data' holds .* a Payload that no work has stored"):
        run_steps(lambda flow: flow.work.run(), work=Holds())


@only_files
def test_a_producer_that_dies_while_it_writes_leaves_the_version_before(tmp_path):
    def steps(flow):
        flow.make.run(False)
        flow.make.run(True)
        return flow.use.run(str, flow.make.data)

    root = run_steps(steps, make=Dies(), use=Use())

    assert root._answer == "whole"
    assert root.make.call(True).succeeded is False
    assert len(list((tmp_path / "root/drives/.payloads/root.make/data").iterdir())) == 1
    payload = Payload(1)
    with acting_as(Caller("work", "root.make")):
        payload.attached("root.make", "data")
    poll_until(lambda: list((tmp_path / "root/drafts").iterdir()) == [])
