"""The tree and its rules: names, attributes, refusals and their words."""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
import math
import os
import pathlib
import pickle
import traceback
import warnings
from abc import abstractmethod

import numpy
import pytest

import lightning_lite
from lightning_lite import LightningApp
from lightning_lite.context import Caller, acting_as, current_caller
from lightning_lite.errors import (
    ComponentDefinitionError,
    ComponentError,
    StateError,
)
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.structures import Dict, List
from lightning_lite.tree.work import LightningWork

from tests.support.flows import do_nothing
from tests.support.simulation import MachineDriver, ScriptedFlow, StartWork, Work, only, play


class Bare(LightningFlow):
    """A flow without a `run` of its own."""


class NoSuper(LightningFlow):
    def __init__(self):
        self.counter = 0

    def run(self):
        pass


class NoSuperWork(LightningWork):
    def __init__(self):
        self.counter = 0

    def run(self):
        pass


class NoSuperNothing(LightningWork):
    def __init__(self):
        pass

    def run(self):
        pass


class NoRun(LightningWork):
    pass


# Names.


def test_names_are_the_path_in_the_tree():
    child = ScriptedFlow(do_nothing, work=Work(), grandchild=ScriptedFlow(do_nothing, work=Work()))
    root = ScriptedFlow(do_nothing, child=child, work=Work())

    assert root.name == "root"
    assert [name for name, _ in root.named_works()] == [
        "root.work",
        "root.child.work",
        "root.child.grandchild.work",
    ]
    assert list(root.flows) == ["root.child", "root.child.grandchild"]
    assert child.grandchild.work.name == "root.child.grandchild.work"


def test_names_follow_a_flow_that_is_attached_after_its_works():
    inner = ScriptedFlow(do_nothing, work=Work())
    assert inner.work.name == "root.work"

    outer = ScriptedFlow(do_nothing, inner=inner)

    assert inner.work.name == "root.inner.work"
    assert outer.get_component_by_name("root.inner.work") is inner.work


def test_works_come_first_own_then_those_of_flows_then_those_of_structures():
    root = ScriptedFlow(
        do_nothing,
        structure=Dict(x=Work()),
        flow=ScriptedFlow(do_nothing, w=Work()),
        zulu=Work(),
        alpha=Work(),
    )

    names = [work.name for work in root.works()]

    assert names == ["root.alpha", "root.zulu", "root.flow.w", "root.structure.x"]
    assert [work.name for work in root.works(recurse=False)] == ["root.alpha", "root.zulu"]


def test_components_are_found_by_name():
    root = ScriptedFlow(do_nothing, flow=ScriptedFlow(do_nothing, parts=List(Work(), Work())))

    assert root.get_component_by_name("root") is root
    with pytest.raises(AttributeError, match="Component 'root' has no child component with name ''"):
        root.get_component_by_name("root.")
    assert root.get_component_by_name("root.flow") is root.flow
    assert root.get_component_by_name("root.flow.parts.1") is root.flow.parts[1]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("other.flow", ValueError, r"Invalid component name other\.flow. Name must start with 'root'"),
        ("rooted", ValueError, r"Invalid component name"),
        ("root.missing", AttributeError, r"Component 'root' has no child component with name 'missing'\."),
        (
            "root.flow.missing",
            AttributeError,
            r"Component 'root\.flow' has no child component with name 'missing'\.",
        ),
        ("root.number", AttributeError, r"has no child component with name 'number'\."),
    ],
)
def test_a_name_that_leads_nowhere_is_named(name, error, message):
    root = ScriptedFlow(do_nothing, flow=ScriptedFlow(do_nothing), number=3)

    with pytest.raises(error, match=message):
        root.get_component_by_name(name)


# How classes are wrong.


def test_a_work_without_run_is_refused_at_construction():
    with pytest.raises(
        ComponentDefinitionError,
        match=r"The work `NoRun` is missing the `run\(\)` method\. This is required\. "
        r"Implement it first and then call it in your Flow\.",
    ):
        NoRun()


def test_a_component_definition_error_is_a_type_error_and_a_state_error_an_attribute_error():
    assert issubclass(ComponentDefinitionError, TypeError)
    assert issubclass(StateError, AttributeError)


@pytest.mark.parametrize("kind", [NoSuper, NoSuperWork, NoSuperNothing])
def test_a_forgotten_super_init_is_named(kind):
    with pytest.raises(
        (StateError, ComponentDefinitionError),
        match=rf"Did you forget to call super\(\)\.__init__\(\) in {kind.__name__}\.__init__\?",
    ):
        kind()


class Static(LightningWork):
    @staticmethod
    def run(number):
        return number + 1


class OfClass(LightningWork):
    @classmethod
    def run(cls, number):
        return cls.__name__, number


class StaticFlow(LightningFlow):
    @staticmethod
    def run(number):
        return number + 2


class AbstractStatic(LightningWork):
    @staticmethod
    @abstractmethod
    def run(number):
        """Return a number."""


class BelowOfClass(OfClass):
    @classmethod
    def run(cls, number):
        return super().run(number + 1)


class PlainBelowOfClass(OfClass):
    def run(self, number):
        return super().run(number + 2)


def test_run_may_be_a_static_or_a_class_method():
    assert (Static().run(1), OfClass().run(2), StaticFlow().run(3)) == (2, ("OfClass", 2), 5)
    assert (Static.run(1), OfClass.run(2), StaticFlow.run(3)) == (2, ("OfClass", 2), 5)
    assert BelowOfClass().run(4) == BelowOfClass.run(4) == ("BelowOfClass", 5)
    assert PlainBelowOfClass().run(4) == ("PlainBelowOfClass", 6)
    with pytest.raises(TypeError, match="abstract"):
        AbstractStatic()


class Inherits(OfClass):
    pass


class BesideInherits(OfClass):
    def run(self, number):
        return -number


class OfBoth(Inherits, BesideInherits):
    pass


class Doubles(LightningWork):
    def run(self, number):
        return 2 * number


class InheritsDoubles(Doubles):
    pass


class Triples(Doubles):
    def run(self, number):
        return 3 * number


class DoublesOrTriples(InheritsDoubles, Triples):
    pass


def test_a_class_of_two_bases_has_the_run_that_python_finds():
    assert DoublesOrTriples().run(2) == 6
    assert OfBoth().run(2) == -2


def test_run_of_a_flow_that_does_not_override_it_does_nothing():
    assert Bare().run() is None


# The same component in two places.


def test_a_work_can_not_stand_in_two_places_and_both_are_named():
    work = Work()
    ScriptedFlow(do_nothing, first=work)

    with pytest.raises(
        ComponentError,
        match=r"The same Work can't be in two places: it is 'root\.first' already.*'second' of this",
    ):
        ScriptedFlow(do_nothing, second=work)


@pytest.mark.parametrize(
    "build",
    [
        lambda work: ScriptedFlow(do_nothing, first=work, second=work),
        lambda work: ScriptedFlow(do_nothing, first=work, child=ScriptedFlow(do_nothing, second=work)),
        lambda work: ScriptedFlow(do_nothing, first=work, parts=List(work)),
        lambda work: List(work, work),
        lambda work: Dict(a=work, b=work),
        lambda work: Dict(a=List(work), b=work),
    ],
    ids=["one flow", "two flows", "flow and list", "list", "dict", "nested"],
)
def test_the_same_work_in_two_places_is_refused_wherever(build):
    with pytest.raises(ComponentError, match=r"(two places|several times)"):
        build(Work())


def test_a_flow_can_not_contain_itself():
    root = ScriptedFlow(do_nothing, child=ScriptedFlow(do_nothing))
    root.child._script = lambda child: setattr(child, "myself", root)

    with pytest.raises(ComponentError, match=r"ScriptedFlow can't contain itself as 'myself'"):
        root.child.run()


def test_a_work_that_was_refused_can_still_be_attached():
    work = Work()
    structure = Dict()
    with pytest.raises(ComponentError, match="bytes long, the limit is 200"):
        structure["x" * 300] = work

    structure["x"] = work

    assert structure["x"].name == "root.x"


# Components as attributes.


class Grows(LightningFlow):
    def __init__(self):
        super().__init__()
        self.later = None

    def run(self):
        if self.later is None:
            self.later = Work(parallel=True)
        self.later.run()


def test_a_work_may_be_created_in_run_and_gets_a_process_with_its_first_call():
    driver = MachineDriver(Grows())

    assert driver.root.later.name == "root.later"
    assert only(driver.sent, StartWork)[0].work == "root.later"
    assert "later" not in driver.root.state["vars"]


def test_a_component_that_is_set_outside_init_and_run_is_refused():
    root = ScriptedFlow(do_nothing)

    with pytest.raises(StateError, match=r"Cannot set attributes that were not defined in __init__: work"):
        root.work = Work()


def test_a_float_of_numpy_becomes_the_float_that_it_is():
    flow = ScriptedFlow(do_nothing, first=numpy.float64(0.5), score=None)
    flow.score = numpy.sqrt(2.0)

    assert (type(flow.first), flow.first) == (float, 0.5)
    assert (type(flow.score), flow.score) == (float, math.sqrt(2))


@pytest.mark.parametrize(
    ("make", "kind", "advice"),
    [
        (Work, "work", r"self\.child\.stop\(\) ends its process\. Put .* in a Dict or a List"),
        (lambda: ScriptedFlow(do_nothing), "flow", "Put components .* in a Dict or a List"),
        (lambda: [Work()], "List", r"self\.child\.clear\(\) removes all components in it"),
        (lambda: {"a": Work()}, "Dict", r"self\.child\.clear\(\) removes all components in it"),
    ],
)
def test_a_component_can_not_be_replaced_or_deleted(make, kind, advice):
    root = ScriptedFlow(do_nothing, child=make())
    child = root.child

    with pytest.raises(
        StateError,
        match=rf"Cannot set attributes as the {kind} can't be changed once defined: child\. {advice}",
    ):
        root.child = []
    with pytest.raises(StateError, match=rf"^root\.child is a {kind}, so it can't be deleted\. {advice}"):
        del root.child
    root.child = root.child
    assert root.child is child


def test_an_attribute_that_holds_a_value_does_not_become_a_component():
    with pytest.raises(
        StateError, match=r"root\.x has a value; only an attribute that is None can become a component"
    ):
        play(lambda flow: setattr(flow, "x", Work()), x=3)


@pytest.mark.parametrize(
    ("name", "owner"), [("run", "ScriptedFlow"), ("stop", "LightningFlow"), ("works", "LightningFlow")]
)
def test_a_component_can_not_take_the_name_of_a_method(name, owner):
    with pytest.raises(StateError, match=rf"root\.{name} is a method of {owner}; give it another name"):
        ScriptedFlow(do_nothing, **{name: Work()})


def names_that_can_not_be_set():
    return [name for name, found in inspect.getmembers(LightningWork, is_read_only)]


def is_read_only(member):
    return isinstance(member, property) and member.fset is None


@pytest.mark.parametrize("name", names_that_can_not_be_set())
def test_a_name_that_the_framework_has_taken_says_so(name):
    class Taken(LightningWork):
        def __init__(self):
            super().__init__()
            setattr(self, name, 0)

        def run(self):
            pass

    arguments = inspect.signature(LightningWork.__init__).parameters
    advice = rf"pass {name}=\.\.\. to super\(\)\.__init__\(\), or choose" if name in arguments else "; choose"
    with pytest.raises(
        StateError, match=rf"Taken\.{name}: the framework has an attribute .*{advice}"
    ) as caught:
        Taken()
    assert isinstance(caught.value, AttributeError)


def test_a_property_of_the_user_that_can_not_be_set_says_what_python_says():
    with pytest.raises(AttributeError, match=r"property 'half' .* has no setter") as caught:
        WithProperty().half = 3
    assert not isinstance(caught.value, StateError)


def test_a_class_in_the_place_of_a_component_is_refused():
    with pytest.raises(
        StateError, match=r"root\.x is a class, and a flow needs a component of it: self\.x = Work\(\)"
    ):
        ScriptedFlow(do_nothing, x=Work)
    for kind in (ScriptedFlow, Work):
        with pytest.raises(
            ComponentDefinitionError, match=rf"is a class.*: LightningApp\({kind.__qualname__}\(\)\)"
        ):
            LightningApp(kind)


@pytest.mark.parametrize(
    "create",
    [
        lambda: ScriptedFlow(do_nothing, run=3),
        lambda: LightningApp(3),
        lambda: LightningApp(Work(), max_running=0),
    ],
    ids=["component", "root", "argument"],
)
def test_the_traceback_of_a_constructor_has_no_frames_of_the_framework(create):
    with pytest.raises(ComponentError) as caught:
        create()
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert files
    assert not [file for file in files if file.startswith(os.path.dirname(lightning_lite.__file__) + os.sep)]


def test_a_list_or_dict_of_nothing_but_components_becomes_a_structure():
    root = ScriptedFlow(
        do_nothing, parts=[Work(), Work()], named={"a": Work()}, empty=[], mixed_values=[1, "a"]
    )

    assert type(root.parts) is List
    assert type(root.named) is Dict
    assert type(root.empty) is list
    assert [work.name for work in root.works()] == ["root.named.a", "root.parts.0", "root.parts.1"]
    assert root.named["a"].name == "root.named.a"


def test_a_list_of_components_and_values_is_refused():
    with pytest.raises(StateError, match=r"root\.mixed\[1\] is 1, and root\.mixed has components"):
        ScriptedFlow(do_nothing, mixed=[Work(), 1])


def test_a_private_attribute_may_hold_a_component_that_stands_elsewhere():
    root = ScriptedFlow(do_nothing, work=Work())

    root._best = root.work

    assert [work.name for work in root.works()] == ["root.work"]


@pytest.mark.parametrize(
    "value", [lambda: Work(), lambda: ScriptedFlow(do_nothing), lambda: [Work()], lambda: {"a": Work()}]
)
def test_a_work_takes_no_children(value):
    class Parent(LightningWork):
        def __init__(self):
            super().__init__()
            self.child = value()

        def run(self):
            pass

    with pytest.raises(
        ComponentError,
        match=r"A LightningWork isn't allowed to take any children such as LightningWork or Light",
    ):
        Parent()


# The state.


def test_a_new_public_attribute_outside_init_is_refused():
    with pytest.raises(StateError, match=r"Cannot set attributes that were not defined in __init__: new\b"):
        MachineDriver(ScriptedFlow(lambda flow: setattr(flow, "new", 1)))
    with pytest.raises(
        StateError, match=r"Cannot set attributes that were not defined in __init__: new\b.*self\._new"
    ):
        Work().new = 1


class Color(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ()


@dataclasses.dataclass
class Point:
    x: int = 1


class Mute:
    def __repr__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("bad", "advice"),
    [
        (numpy.float32(1.5), r"value\.item\(\)"),
        ([numpy.float64(1.5)], r"value\.item\(\)"),
        (numpy.zeros(3), r"value\.tolist\(\)"),
        (Color.RED, "its value or its name"),
        (pathlib.Path("a"), r"str\(path\)"),
        (Point(), r"dataclasses\.asdict\(value\)"),
        (b"ab", r"value\.hex\(\)"),
        (bytearray(b"ab"), r"value\.hex\(\)"),
        ({1, 2}, r"sorted\(value\)"),
        (frozenset(), r"sorted\(value\)"),
        (Name("n"), r"str\(value\)"),
        (Mute(), "plain data"),
        (lambda: 0, "plain data"),
        (1j, "plain data"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_json_is_refused_with_its_path_its_type_and_what_to_use_instead(bad, advice):
    with pytest.raises(StateError) as refusal:
        ScriptedFlow(do_nothing, table={"a": [0, {"b": bad}]})

    message = str(refusal.value)
    assert message.startswith(
        "Only JSON-serializable attributes are currently supported (str, int, float, bool, tuple,"
    )
    assert "root.table['a'][1]['b']" in message
    assert type(bad).__qualname__ in message
    assert "HINT: Private attributes defined as follows self._x = y won't be shared" in message
    with pytest.raises(StateError, match=advice):
        raise refusal.value


def test_a_refused_value_leaves_the_old_one():
    root = ScriptedFlow(do_nothing, value=[1])

    with pytest.raises(StateError):
        root.value = {1}

    assert root.value == [1]


def test_values_keep_their_types_exactly():
    value = {1: (1, [2.0, None]), False: "a.b", "x": math.inf, None: 10**5000}

    root = ScriptedFlow(do_nothing, value=value)

    assert repr(list(root.state["vars"]["value"])) == repr(list(value))
    assert root.value[1] == (1, [2.0, None])
    assert type(root.value[1]) is tuple


def test_state_can_not_be_deleted():
    root = ScriptedFlow(do_nothing, value=1)

    with pytest.raises(StateError, match=r"root\.value is part of the state, so it can't be deleted"):
        del root.value
    root.value = None


def test_an_attribute_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'Work' object has no attribute 'missing'"):
        _ = Work().missing


def test_a_property_that_meets_an_attribute_that_is_not_there_names_that_attribute():
    class Misspelled(Work):
        @property
        def best(self):
            return min(self.curv)

    with pytest.raises(AttributeError, match=r"has no attribute 'curv'") as missing:
        _ = Misspelled().best
    assert (missing.value.name, type(missing.value.obj)) == ("curv", Misspelled)  # for "Did you mean"


@pytest.mark.parametrize("name", ["run", "state_like"])
def test_a_value_can_not_take_the_name_of_a_method(name):
    if name == "run":
        with pytest.raises(
            StateError, match=r"root\.run is a method of ScriptedFlow; give the attribute another name"
        ):
            ScriptedFlow(do_nothing, run=3)
    else:
        assert ScriptedFlow(do_nothing, state_like=3).state_like == 3


@pytest.mark.parametrize("value", [3, Work])
def test_a_method_is_not_replaced_later_either(value):
    for component in (Work(), ScriptedFlow(do_nothing)):
        with pytest.raises(StateError, match=r"run is a method of \w+; give"):
            component.run = value() if value is Work else value


class WithProperty(LightningFlow):
    def __init__(self):
        super().__init__()
        self.number = 0

    @property
    def doubled(self):
        return self.number * 2

    @property
    def half(self):
        return self.number / 2

    @doubled.setter
    def doubled(self, value):
        self.number = value // 2

    def run(self):
        pass


def test_a_property_with_a_setter_is_called():
    flow = WithProperty()

    flow.doubled = 10

    assert flow.number == 5
    assert flow.state["vars"] == {"number": 5}


def test_unicode_names_are_fine():
    root = ScriptedFlow(do_nothing, größe=1, работа=Work())

    assert root.state["vars"] == {"größe": 1}
    assert root.works()[0].name == "root.работа"


def test_state_is_nested_dicts_as_lightning_app_shows_them():
    root = ScriptedFlow(
        do_nothing, counter=1, flow=ScriptedFlow(do_nothing, x=[2]), work=Work(), parts=Dict(a=Work())
    )

    state = root.state

    assert set(state) == {"vars", "calls", "flows", "works", "structures", "changes"}
    assert state["vars"] == {"counter": 1}
    assert state["flows"]["flow"]["vars"] == {"x": [2]}
    assert state["works"]["work"]["vars"]["loss"] == 0.0
    assert state["structures"]["parts"]["works"]["a"]["vars"]["step"] == 0
    assert set(root.state_vars) == {"vars", "flows", "works", "structures"}


def test_state_is_a_copy():
    root = ScriptedFlow(do_nothing, items=[1])

    root.state["vars"]["items"].append(2)

    assert root.items == [1]


def test_set_state_brings_back_what_state_has_given():
    def build():
        return ScriptedFlow(
            do_nothing,
            counter=1,
            items=[1],
            flow=ScriptedFlow(do_nothing, x=(1,)),
            work=Work(),
            parts=Dict(a=List(Work())),
        )

    source, target = build(), build()
    source.counter, source.items, source.flow.x, source.work.loss = 7, [1, 2], (3,), 0.5
    source.parts["a"][0].step = 9

    target.set_state(source.state)

    assert target.state == source.state


def test_set_state_names_what_is_not_there():
    root = ScriptedFlow(do_nothing, parts=Dict(a=Work()))

    with pytest.raises(StateError, match=r"root\.unknown was never declared"):
        root.set_state({"vars": {"unknown": 1}})
    with pytest.raises(ComponentError, match=r"The state contains root\.gone"):
        root.set_state({"works": {"gone": {}}})
    with pytest.raises(
        ComponentError, match=r"The provided state doesn't match the Dict root\.parts\. Found \['a', 'b'\]"
    ):
        root.set_state({"structures": {"parts": {"works": {"b": {}}, "flows": {}}}})


# Copies.


class WithOwnPickling(Work):
    def __getstate__(self):
        return {**self.__dict__, "_handle": None}

    def __setstate__(self, state):
        # The attributes of state are usable here.
        self.__dict__.update(state)
        self.step += 1


def pickled(work):
    return pickle.loads(pickle.dumps(work))


@pytest.mark.parametrize("cls", [Work, WithOwnPickling])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled], ids=["copy", "deepcopy", "pickle"])
def test_a_copy_of_a_work_has_its_own_values_and_calls(cls, copied):
    flow = ScriptedFlow(do_nothing, work=cls())
    flow.work.step, flow.work.curve, flow.work._private = 1, [1], {"a"}

    twin = copied(flow.work)
    twin.step, twin.curve = twin.step + 10, [2]

    assert (twin.step, twin.curve, twin._private) == (11 + (cls is WithOwnPickling), [2], {"a"})
    assert (flow.work.step, flow.work.curve) == (1, [1])
    assert twin._node.owner is twin
    assert twin._node.parent is None
    assert twin._records is not flow.work._records


# Other attributes of a work.


def test_the_display_name_can_be_set_only_before_the_work_has_started():
    driver = MachineDriver(ScriptedFlow(do_nothing, work=Work()))
    work = driver.root.work
    assert work.display_name == "work"
    work.display_name = "Trainer"
    driver.up("root.work")

    work.display_name = "Trainer"
    with pytest.raises(RuntimeError, match=r"The display name can be set only before the work has started\."):
        work.display_name = "other"


def test_a_port_is_picked_once_and_is_state():
    work = Work()

    assert work.port == work.port
    assert work.state["vars"]["_port"] == work.port
    assert Work(port=4711).port == 4711


def test_the_address_is_known_once_the_process_is_up():
    driver = MachineDriver(ScriptedFlow(do_nothing, work=Work()))
    assert driver.root.work.internal_ip == ""

    driver.up("root.work")

    assert driver.root.work.internal_ip == "127.0.0.1"
    assert driver.root.work.public_ip == ""


def test_a_flow_is_ready_when_all_its_flows_are():
    class Unready(ScriptedFlow):
        @property
        def ready(self):
            return False

    assert ScriptedFlow(do_nothing, child=ScriptedFlow(do_nothing)).ready
    assert not ScriptedFlow(do_nothing, child=ScriptedFlow(do_nothing, grandchild=Unready(do_nothing))).ready


def test_no_warning_comes_from_building_a_tree():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ScriptedFlow(do_nothing, work=Work(), parts=List(Work()), value=1)


def test_two_thousand_works_are_no_problem():
    root = ScriptedFlow(do_nothing, many=List(*[Work(start_with_flow=False) for _ in range(2000)]))

    driver = MachineDriver(root)

    assert len(root.works()) == 2000
    assert driver.sent == []


@pytest.mark.parametrize("name", ["_values", "_write", "_is_up", "_set_name"])
def test_a_private_name_of_the_framework_is_refused_and_not_replaced(name: str) -> None:
    class Work(LightningWork):
        def __init__(self) -> None:
            super().__init__()
            setattr(self, name, [1])

        def run(self) -> None: ...

    with pytest.raises(
        ComponentDefinitionError, match=f"Work.{name}: the framework has a method of that name"
    ):
        Work()
    with pytest.raises(ComponentDefinitionError, match=f"Other.{name}: the framework has a method"):
        type("Other", (LightningWork,), {name: lambda self: None, "__module__": __name__})


def test_other_private_names_and_protocols_of_other_packages_are_free() -> None:
    class Work(LightningWork):
        def __init__(self) -> None:
            super().__init__()
            self._key, self._repr_png_ = "a", "b"

        def _repr_html_(self) -> str:
            return self._key

        def run(self) -> str:
            return self._key

    assert (Work()._repr_html_(), Work().run()) == ("a", "a")


class SeesCaller(Bare):
    def __init__(self):
        super().__init__()
        self._caller = current_caller()


def test_code_in_init_keeps_the_settings_of_the_app_that_runs_it():
    with acting_as(Caller("flow", "root", "/root", durable=True, drives="s3://bucket")):
        seen = SeesCaller()._caller

    assert (seen.kind, seen.component) == ("init", "SeesCaller")
    assert (seen.root, seen.durable, seen.drives) == ("/root", True, "s3://bucket")
