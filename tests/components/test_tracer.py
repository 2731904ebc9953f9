"""`Tracer`: the view of a script while it is traced, and the state afterwards."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.components import Tracer
from lightning_lite.errors import ScriptFailed


class Base:
    def inherited(self, x: int = 1) -> int:
        return x


class Model(Base):
    def __init__(self, size: int, *, rate: float = 0.1) -> None:
        self.size, self.rate = size, rate

    def scale(self, by: int) -> int:
        return self.size * by

    @classmethod
    def of(cls, text: str) -> Model:
        return cls(int(text))

    @staticmethod
    def add(a: int, b: int) -> int:
        return a + b

    label = "text"


SCRIPT = f"import sys; Model = sys.modules[{__name__!r}].Model\n"


def run(tracer: Tracer, text: str, *arguments: str) -> dict[str, Any]:
    Path("script.py").write_text(SCRIPT + text, "utf-8")
    return tracer.trace("script.py", *arguments)


ORIGINAL = dict(vars(Model))


def unchanged() -> bool:
    return dict(vars(Model)) == ORIGINAL


def test_the_functions_change_arguments_and_values_and_are_recorded():
    def before(model: Model, *args: Any, **kwargs: Any) -> Any:
        return {"given": args}, (args[0] + 1,), {**kwargs, "rate": 0.5}

    def after(model: Model, value: int) -> Any:
        return {"value": value}, -value

    tracer = Tracer()
    tracer.add_traced(Model, "__init__", pre_fn=before)
    tracer.add_traced(Model, "scale", post_fn=after)
    found = run(tracer, "m = Model(2); scaled = [m.scale(by) for by in (1, 10)]")

    assert (found["m"].size, found["m"].rate, found["scaled"]) == (3, 0.5, [-3, -30])
    (model,) = found["tracer_res"]["Model"]
    (created,) = model["__init__"]
    assert created["pre"] == {"given": (2,)}
    assert created["call_args"] == {"rate": 0.5}
    assert created["default_args"] == {"rate": 0.1}
    assert created["call"]["start"] <= created["call"]["end"]
    assert [call["post"] for call in model["scale"]] == [{"value": 3}, {"value": 30}]
    assert tracer.res == found["tracer_res"]
    assert unchanged()


def test_the_frame_is_that_of_the_caller_or_of_its_caller():
    tracer = Tracer()
    tracer.add_traced(Model, "scale")
    tracer.add_traced(Model, "of", stack_level=2)
    found = run(tracer, "def make():\n    return Model.of('1')\nm = make()\nm.scale(1)")

    frames = [
        next(call["frame"] for each in found["tracer_res"]["Model"] for call in each.get(name, []))
        for name in ("scale", "of")
    ]
    assert [(frame["filename"], frame["lineno"], frame["function"]) for frame in frames] == [
        ("script.py", 5, "<module>"),
        ("script.py", 4, "<module>"),
    ]


def test_class_methods_static_methods_and_inherited_methods_can_be_traced():
    def double(owner: Any, value: Any) -> Any:
        return owner, [value, value]

    tracer = Tracer()
    for name in ("of", "add", "inherited"):
        tracer.add_traced(Model, name, post_fn=double)
    found = run(tracer, "a = Model.of('4')[0].size; b = Model.add(1, 2); c = Model(1).inherited()")

    assert (found["a"], found["b"], found["c"]) == (4, [3, 3], [1, 1])
    assert unchanged()
    assert "inherited" not in vars(Model)


def test_a_method_traced_twice_calls_both_functions_and_is_restored():
    def add(amount: int) -> Any:
        return lambda model, value: (None, value + amount)

    tracer = Tracer()
    tracer.add_traced(Model, "scale", post_fn=add(1))
    tracer.add_traced(Model, "scale", post_fn=add(10))

    assert run(tracer, "value = Model(2).scale(3)")["value"] == 17
    assert unchanged()


@pytest.mark.parametrize("ending", ["raise ValueError('bad')", "sys.exit(2)", "Model.nothing"])
def test_all_is_restored_after_a_script_that_fails(ending):
    before = (sys.argv, sys.path, sys.modules["__main__"], list(sys.argv), list(sys.path))
    tracer = Tracer()
    tracer.add_traced(Model, "scale")

    with pytest.raises((ValueError, ScriptFailed, AttributeError)):
        run(tracer, f"sys.argv.append('x'); sys.path.append('x'); Model(1).scale(1); {ending}", "a", "b")

    assert (sys.argv, sys.path, sys.modules["__main__"], list(sys.argv), list(sys.path)) == before
    assert unchanged()
    assert len(tracer.res["Model"][0]["scale"]) == 1


def test_a_script_sees_itself_as_a_program():
    found = run(
        Tracer(),
        "argv, path, main = sys.argv, sys.path[0], sys.modules['__main__'].__dict__ is globals()",
        "1",
    )

    assert found["argv"] == ["script.py", "1"]
    assert found["path"] == os.getcwd()
    assert found["main"] is True
    assert (found["__name__"], found["__file__"]) == ("__main__", "script.py")


def test_functions_of_a_script_work_after_its_end():
    found = run(Tracer(), "given = 3\ndef double():\n    return 2 * given")

    assert found["double"]() == 6


def test_a_script_has_the_globals_that_it_was_given():
    Path("script.py").write_text("b = 2 * a")

    assert Tracer().trace("script.py", init_globals={"a": 4})["b"] == 8


@pytest.mark.parametrize("name", ["nothing", "label"])
def test_only_methods_can_be_traced(name):
    with pytest.raises(AttributeError, match=rf"Can't trace Model\.{name}: the class has no such method\."):
        Tracer().add_traced(Model, name)


@pytest.mark.parametrize("returned", [None, ((), {}), [None, (), {}]])
def test_a_function_that_returns_something_else_is_named(returned):
    def wrong(model: Model, *args: Any, **kwargs: Any) -> Any:
        return returned

    tracer = Tracer()
    tracer.add_traced(Model, "scale", pre_fn=wrong)

    with pytest.raises(
        TypeError, match=r"wrong, which traces Model\.scale, must return a tuple \(record, args,"
    ):
        run(tracer, "Model(1).scale(2)")


def test_only_the_newest_calls_of_an_object_are_kept():
    tracer = Tracer()
    tracer.add_traced(Model, "scale", post_fn=lambda model, value: (value, value))
    run(tracer, "m = Model(1)\nfor i in range(1200): m.scale(i)")

    calls = tracer.res["Model"][0]["scale"]
    assert [calls[0]["post"], calls[-1]["post"], len(calls)] == [200, 1199, 1000]


def test_a_missing_script_is_named():
    with pytest.raises(FileNotFoundError, match=r"'nowhere\.py' wasn't found: there is no file at "):
        Tracer().trace("nowhere.py")
