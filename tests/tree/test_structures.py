"""`List` and `Dict`: the whole protocol of list and dict, names that stay, processes that follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_lite.clock import ManualClock
from lightning_lite.context import SCRIPT
from lightning_lite.engine.machine import Machine
from lightning_lite.errors import ComponentError, DetachedError
from lightning_lite.events import StateWritten
from lightning_lite.testing import EmptyFlow
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.structures import Dict, List
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.codec import encode

from tests.support.simulation import (
    MachineDriver,
    ScriptedFlow,
    StartWork,
    StateChanged,
    StopWork,
    Work,
    WorkExited,
    kinds,
    only,
    play,
)


class Tiny(LightningWork):
    """A work that costs little to build."""

    def run(self):
        pass


# A list is a list.


@st.composite
def edits(draw):
    """Draw a sequence of edits of a list, each as name and arguments."""
    names = [
        "append",
        "extend",
        "insert",
        "pop",
        "remove",
        "del",
        "set",
        "set slice",
        "del slice",
        "iadd",
        "reverse",
        "clear",
    ]
    return [
        (
            draw(st.sampled_from(names)),
            draw(st.integers(-4, 4)),
            draw(st.integers(-4, 4)),
            draw(st.integers(0, 3)),
        )
        for _ in range(draw(st.integers(1, 12)))
    ]


def edit_list(items, edit, new):
    """Apply an edit to a list; `new` are the items that it may take."""
    name, first, second, _ = edit
    match name:
        case "append":
            items.append(new[0])
        case "extend":
            items.extend(iter(new))
        case "insert":
            items.insert(first, new[0])
        case "pop":
            return items.pop(first)
        case "remove":
            items.remove(items[first])
        case "del":
            del items[first]
        case "set":
            items[first] = new[0]
        case "set slice":
            items[first:second] = new
        case "del slice":
            del items[first::2]
        case "iadd":
            items += new
        case "reverse":
            items.reverse()
        case "clear":
            items.clear()
    return None


@given(edits())
def test_a_list_behaves_as_a_list_and_its_names_are_unique_stay_and_never_come_back(sequence):
    structure, model = List(), []
    root = ScriptedFlow(lambda flow: None, parts=structure)
    owners, names = {}, {}  # the component that had a name once keeps it

    for edit in sequence:
        new = [Tiny() for _ in range(max(1, edit[3]))]
        outcomes = []
        for items in (model, structure):
            try:
                outcomes.append(edit_list(items, edit, new))
            except (IndexError, ValueError) as error:
                outcomes.append(type(error))

        assert outcomes[0] is outcomes[1]
        assert list(structure) == model
        assert len(structure) == len(model)
        for work in structure:
            assert owners.setdefault(work.name, work) is work
            assert names.setdefault(id(work), work.name) == work.name
            assert root.get_component_by_name(work.name) is work
        assert {work.name for work in root.works()} == {work.name for work in structure}


def test_a_number_is_never_given_twice():
    works = List(Tiny(), Tiny())

    works.pop()
    works.append(Tiny())
    works.clear()
    works.append(Tiny())

    assert [work.name for work in works] == ["root.3"]


def test_a_list_may_be_sorted_and_the_names_stay():
    works = List(Tiny(), Tiny(), Tiny())

    works.sort(key=lambda work: -int(work.name.rpartition(".")[2]))

    assert [work.name for work in works] == ["root.2", "root.1", "root.0"]


def test_a_component_can_change_its_place_in_a_list():
    works = List(Tiny(), Tiny(), Tiny())

    works[:] = works[::-1]

    assert [work.name for work in works] == ["root.2", "root.1", "root.0"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda works: works.append(3),
        lambda works: works.extend([3]),
        lambda works: works.insert(0, None),
        lambda works: works.__setitem__(0, "x"),
        lambda works: works.__setitem__(slice(0, 1), [Tiny(), 3]),
        lambda works: works.append(works[0]),
        lambda works: works.insert(0, works[1]),
        lambda works: works.__setitem__(0, works[1]),
        lambda works: works.__imul__(2),
        lambda works: works.__setitem__(0, works),
    ],
)
def test_a_refused_edit_of_a_list_changes_nothing(edit):
    works = List(Tiny(), Tiny())
    before = list(works)

    with pytest.raises(ComponentError):
        edit(works)

    assert list(works) == before
    assert [work.name for work in works] == ["root.0", "root.1"]
    assert list(works._node.children) == ["0", "1"]


def test_copies_of_structures_are_plain():
    works = List(Tiny())
    named = Dict(a=Tiny())

    assert type(works.copy()) is list
    assert type(works[:]) is list
    assert type(works + works) is list
    assert type(named.copy()) is dict
    assert type(named | {}) is dict


# A dict is a dict.

KEYS = ["a", "b", "c"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["set", "del", "pop", "pop default", "popitem", "setdefault", "update", "ior", "clear"]
            ),
            st.sampled_from(KEYS),
            st.sampled_from(KEYS),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_dict_behaves_as_a_dict_and_a_component_is_named_after_its_key(sequence):
    structure, model = Dict(), {}
    root = ScriptedFlow(lambda flow: None, parts=structure)

    for name, key, other in sequence:
        new = {key: Tiny(), other: Tiny()}
        outcomes = []
        for items in (model, structure):
            try:
                outcomes.append(edit_dict(items, name, key, new))
            except KeyError as error:
                outcomes.append(repr(error))

        assert outcomes[0] == outcomes[1]
        assert list(structure.items()) == list(model.items())
        assert {work.name for work in root.works()} == {f"root.parts.{key}" for key in model}
        assert all(work.name == f"root.parts.{key}" for key, work in structure.items())


def edit_dict(items, name, key, new):
    match name:
        case "set":
            items[key] = new[key]
        case "del":
            del items[key]
        case "pop":
            return items.pop(key)
        case "pop default":
            return items.pop(key, None)
        case "popitem":
            return items.popitem()
        case "setdefault":
            return items.setdefault(key, new[key])
        case "update":
            items.update(new)
        case "ior":
            items |= new
        case "clear":
            items.clear()
    return None


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (3, r"The provided key should be a string"),
        (None, r"The provided key should be a string"),
        ("a.b", r"The provided name 'a\.b' contains \. which is forbidden"),
        ("..", r"contains \. which is forbidden"),
        ("a/b", r"The provided name 'a/b' contains '/', which is forbidden"),
        ("a\\b", r"contains '\\\\', which is forbidden"),
        ("a:b", r"contains ':'"),
        ("a\0b", r"contains '\\x00'"),
        ("a\x1b[31m", r"contains '\\x1b'"),
        ("a\x85", r"contains '\\x85'"),
        ("", r"is empty"),
        (" a", r"begins or ends with a space"),
        ("a\n", r"contains '\\n'"),
        ("\ud800", r"is no valid text"),
        ("x" * 300, r"is 311 bytes long, the limit is 200"),
    ],
)
def test_a_key_that_is_no_safe_name_of_a_folder_is_refused(key, message):
    root = ScriptedFlow(lambda flow: None, parts=Dict(a=Tiny()))

    with pytest.raises(ComponentError, match=message):
        root.parts[key] = Tiny()

    assert list(root.parts) == ["a"]


def test_a_refused_component_does_not_cost_the_one_that_is_there():
    taken = Tiny()
    works = Dict(a=Tiny(), b=taken)
    before = works["a"]

    for bad in (3, taken, works):
        with pytest.raises(ComponentError):
            works["a"] = bad

    assert works["a"] is before
    assert before.name == "root.a"


def test_the_same_component_under_its_own_key_is_no_change():
    work = Tiny()
    works = Dict(a=work)

    works["a"] = work

    assert works["a"] is work


@pytest.mark.parametrize("put", [lambda parts: parts.setdefault("a"), lambda parts: parts.update(a=None)])
def test_none_is_no_component(put):
    parts = Dict()

    with pytest.raises(ComponentError, match=r"found None for 'a'"):
        put(parts)

    assert parts == {}


def test_one_component_can_not_be_put_under_many_keys():
    with pytest.raises(ComponentError, match="create one for each"):
        Dict.fromkeys(["a", "b"], Tiny())


# Nested.


def test_structures_nest_to_any_depth_and_all_works_are_found():
    deep = Dict(x=List(Dict(y=List(Tiny()))))
    flow = EmptyFlow()
    root = ScriptedFlow(lambda flow: None, parts=List(deep, flow))

    assert [work.name for work in root.works()] == ["root.parts.0.x.0.y.0"]
    assert list(root.flows) == ["root.parts.1"]
    assert root.get_component_by_name("root.parts.0.x.0.y.0") is deep["x"][0]["y"][0]


def test_works_of_flows_in_structures_are_found():
    root = ScriptedFlow(
        lambda flow: None, parts=Dict(a=ScriptedFlow(lambda flow: None, work=Tiny(), more=List(Tiny())))
    )

    assert [work.name for work in root.works()] == ["root.parts.a.work", "root.parts.a.more.0"]


def test_names_below_follow_when_a_nested_structure_moves():
    inner = List(Tiny())
    root = ScriptedFlow(lambda flow: None, parts=Dict(a=inner))

    root.parts["b"] = root.parts.pop("a")

    assert inner[0].name == "root.parts.b.0"


def test_a_component_that_was_taken_out_has_no_place_any_more():
    root = ScriptedFlow(lambda flow: None, parts=List(Tiny()))

    work = root.parts.pop()

    assert work.name == ""
    assert root.works() == []
    root.parts.append(work)
    assert work.name == "root.parts.1"


# Processes follow.


def test_a_work_added_in_run_gets_a_process_with_its_first_call():
    def run(flow):
        if not flow.parts:
            flow.parts["new"] = Work(parallel=True)
        for work in flow.parts.values():
            work.run()

    driver = MachineDriver(ScriptedFlow(run, parts=Dict()))

    assert kinds(driver.sent) == [("StartWork", "root.parts.new")]


@pytest.mark.parametrize(
    "take_out",
    [
        lambda parts: parts.pop("a"),
        lambda parts: parts.clear(),
        lambda parts: parts.__delitem__("a"),
    ],
)
def test_the_process_of_a_work_that_is_taken_out_is_ended(take_out):
    def run(flow):
        if flow.go:
            flow.go = False
            take_out(flow.parts)

    driver = play(run, parts=Dict(a=Work()), go=False)
    driver.root.go = True

    assert kinds(driver.settle()) == [("StopWork", "root.parts.a")]
    driver.exit("root.parts.a", 0)
    assert driver.machine.is_at_rest


def test_all_processes_below_what_is_taken_out_are_ended_and_no_others():
    def run(flow):
        if flow.go:
            flow.go = False
            flow.parts.pop("a")

    flow = ScriptedFlow(lambda flow: None, work=Work(), more=List(Work()))
    driver = play(run, parts=Dict(a=flow, ab=Work()), go=False)
    driver.root.go = True

    assert sorted(kinds(driver.settle())) == [
        ("StopWork", "root.parts.a.more.0"),
        ("StopWork", "root.parts.a.work"),
    ]


def replace_and_run(flow):
    flow.parts["a"].run()
    if flow.parts["a"].step == 1:
        flow.parts["a"] = Work(parallel=True)
        flow.parts["a"].run()


def test_a_replacement_under_the_same_key_starts_only_after_the_old_process_has_gone():
    driver = play(replace_and_run, parts=Dict(a=Work(parallel=True)))
    old = driver.root.parts["a"]
    sent = driver.change("root.parts.a", step=1)
    assert only(sent, StopWork) != []
    assert only(sent, StartWork) == []
    assert not driver.machine.is_at_rest

    late = driver.change("root.parts.a", loss=0.125)
    assert only(late, StartWork) == []
    assert (old.loss, driver.root.parts["a"].loss) == (0.125, 0.0)

    assert kinds(driver.exit("root.parts.a", 0)) == [("StartWork", "root.parts.a")]
    assert kinds(driver.up("root.parts.a")) == [("RunCall", "root.parts.a")]
    driver.answer("root.parts.a", "new")
    assert driver.root.parts["a"].call().value == "new"
    assert old.call().failure.reason == "stopped"


def test_a_replaced_work_gets_its_late_reports_also_during_the_shutdown():
    driver = play(replace_and_run, parts=Dict(a=Work(parallel=True)))
    old = driver.root.parts["a"]
    driver.change("root.parts.a", step=1)

    late = StateChanged("root.parts.a", {"loss": encode(0.125, "loss")}, 0)
    driver.machine.close(driver.clock.now(), [late])

    assert (old.loss, driver.root.parts["a"].loss) == (0.125, 0.0)


def test_many_replacements_in_one_pass_start_one_process():
    def run(flow):
        if flow.parts["a"].step == 1:
            for _ in range(5):
                flow.parts["a"] = Work(parallel=True)
                flow.parts["a"].run()

    driver = play(run, parts=Dict(a=Work()))
    driver.change("root.parts.a", step=1)
    driver.exit("root.parts.a", 0)

    assert len(only(driver.sent, StopWork)) == 1
    assert len(only(driver.sent, StartWork)) == 2


def test_a_work_that_was_taken_out_can_not_end_the_app_any_more():
    def run(flow):
        if flow.parts:
            flow.parts[0].run()
            if flow.parts[0].step:
                flow.parts.clear()

    driver = play(run, parts=List(Work(parallel=True)))
    driver.change("root.parts.0", step=1)
    driver.fail("root.parts.0")
    driver.exit("root.parts.0", 1)

    assert not driver.machine.ended


def test_a_call_of_a_work_that_is_taken_out_in_the_same_pass_is_not_sent():
    works = []

    def run(flow):
        if flow.parts:
            flow.parts[0].run()
            works.append(flow.parts.pop())

    driver = play(run, parts=List(Work(parallel=True, start_with_flow=False)))

    assert driver.sent == []
    assert works[0].call().failure.reason == "stopped"
    assert works[0].has_stopped


def test_a_work_that_was_taken_out_can_not_be_run():
    def run(flow):
        flow.parts.pop().run()

    with pytest.raises(DetachedError, match="Failed to create process for Work"):
        play(run, parts=List(Work()))


def test_a_work_that_moves_gets_a_process_under_its_new_name():
    def run(flow):
        if flow.go:
            flow.go = False
            flow.parts["b"] = flow.parts.pop("a")
            flow.parts["b"].run()

    driver = play(run, parts=Dict(a=Work(parallel=True)), go=False)
    driver.root.go = True

    assert sorted(kinds(driver.settle())) == [("StartWork", "root.parts.b"), ("StopWork", "root.parts.a")]


def test_a_place_of_max_running_is_free_when_the_work_that_was_taken_out_is_gone():
    def run(flow):
        for work in list(flow.parts.values()):
            work.run()
        if flow.go and "a" in flow.parts:
            flow.parts.pop("a")

    driver = play(run, max_running=1, parts=Dict(a=Work(parallel=True), b=Work(parallel=True)), go=False)
    driver.root.go = True
    driver.settle()
    assert not driver.root.parts["b"].is_running

    driver.exit("root.parts.a", 0)

    assert driver.root.parts["b"].is_running


def test_a_change_of_a_structure_makes_the_flow_run_again():
    def run(flow):
        if len(flow.parts) < 3:
            flow.parts.append(Tiny(start_with_flow=False))

    driver = MachineDriver(ScriptedFlow(run, parts=List()))

    assert len(driver.root.parts) == 3


def test_what_was_changed_in_a_flow_that_is_taken_out_in_the_same_pass_is_no_state_of_the_app():
    def run(flow):
        if flow.parts:
            flow.parts["a"].curve.append(1)
            flow.turn += 1
            flow.parts.clear()

    inner = ScriptedFlow(lambda flow: None, curve=[])
    machine = Machine(ScriptedFlow(run, turn=0, parts=Dict(a=inner)), SCRIPT)
    now = ManualClock().now()
    machine.open(now)
    events = machine.step(now).events

    written = {event.component: set(event.values) for event in events if isinstance(event, StateWritten)}
    assert written == {"root": {"turn"}}


def test_the_end_of_a_call_in_a_flow_that_was_taken_out_is_no_fact_of_the_app():
    def run(flow):
        if flow.parts:
            flow.parts["a"].work.run()
            if flow.parts["a"].work.step:
                flow.parts.clear()

    inner = ScriptedFlow(lambda flow: None, work=Work(parallel=True))
    driver = play(run, parts=Dict(a=inner))
    driver.change("root.parts.a.work", step=1)
    events = driver.machine.step(driver.clock.now(), [WorkExited("root.parts.a.work", 0)]).events

    assert inner.work.has_stopped
    assert events == []


def test_the_exit_of_an_old_process_says_nothing_about_the_new_work():
    driver = play(replace_and_run, parts=Dict(a=Work(parallel=True)))
    driver.change("root.parts.a", step=1)

    driver.settle(WorkExited("root.parts.a", -9))

    assert not driver.root.parts["a"].has_failed
    assert not driver.machine.ended


# Messages about a plain list or dict that a flow gets.


class Group(LightningFlow):
    def __init__(self, make):
        super().__init__()
        self.parts = make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: [Tiny(), 3],
            r"^root\.parts\[1\] is 3, and root\.parts has components, too\. A list of comp",
        ),
        (lambda: ["x", Tiny()], r"^root\.parts\[0\] is 'x', and .* keep other values in another attribute"),
        (
            lambda: {"a": Tiny(), "b": None},
            r"^root\.parts\['b'\] is None, and .*A dict of components contains",
        ),
        (lambda: {1: Tiny()}, r"should be a string: Dict root\.parts has 1"),
        (lambda: {"ü.x": Tiny()}, r"contains \. which is forbidden \(Dict root\.parts\)"),
        (lambda: [Tiny()] * 2, r"it is 'root\.parts\.0' already, so it can't become '1' of this List, too"),
    ],
)
def test_a_message_about_a_plain_container_names_the_attribute_and_the_wrong_item(make, message):
    with pytest.raises(ComponentError, match=message):
        Group(make)


def test_a_component_of_two_flows_is_refused_with_the_flow_that_has_no_name_yet():
    class Holder(LightningFlow):
        def __init__(self, work):
            super().__init__()
            self.held = work

    work = Tiny()
    holders = [Holder(work)]
    with pytest.raises(
        ComponentError, match=r"it is 'root\.held' already, so it can't become 'held' of this .*Holder"
    ):
        holders.append(Holder(work))
