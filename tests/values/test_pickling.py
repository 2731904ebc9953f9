"""Objects are pickled by reference if importable, else by value; answers are instances of our own classes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import types

import pytest

from lightning_lite.values.pickling import PackingError, is_importable, pack, unpack

from tests.support.unpicklable import Leaves, Raises

pytestmark = pytest.mark.dependencies


def elsewhere(program, packed, tmp_path):
    """Run `program` on the unpacked value in a new process, and return its `answer`, packed for us."""
    (tmp_path / "packed").write_bytes(packed)
    code = f"""
        from lightning_lite.values.pickling import pack, unpack
        value = unpack(open({str(tmp_path / "packed")!r}, "rb").read())
        {program}
        open({str(tmp_path / "answer")!r}, "wb").write(pack(answer, to_main=True))
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=True,
        env={"PYTHONPATH": ":".join([path for path in sys.path if path and path != str(tmp_path)])},
        cwd=tmp_path,
    )
    return (tmp_path / "answer").read_bytes()


class Importable:
    def __init__(self, value=1):
        self.value = value


@pytest.fixture
def script(monkeypatch):
    """A module that replaces `__main__`, like a user's script."""
    module = types.ModuleType("__main__")
    exec(
        textwrap.dedent(
            """
            import dataclasses, enum
            @dataclasses.dataclass
            class Point:
                x: int
                def double(self): return Point(self.x * 2)
            class Color(enum.Enum):
                RED = 1
            class Outer:
                class Inner:
                    pass
            def make(x): return Point(x)
            class Lost(Exception):
                pass
            """
        ),
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "__main__", module)
    return module


def test_plain_values_and_importable_classes_are_pickled_by_reference():
    packed = pack([Importable(3), {"a": 1.5}])

    assert b"cloudpickle" not in packed
    assert unpack(packed)[0].value == 3


def test_a_class_of_the_script_is_pickled_by_value(script, tmp_path):
    answer = elsewhere("answer = (type(value).__name__, value.double().x)", pack(script.Point(21)), tmp_path)

    assert unpack(answer) == ("Point", 42)


def test_an_answer_is_an_instance_of_the_scripts_own_class(script, tmp_path):
    answer = unpack(elsewhere("answer = [value.double()]", pack(script.Point(21)), tmp_path))

    assert type(answer[0]) is script.Point
    assert answer == [script.Point(42)]


@pytest.mark.parametrize("name", ["Color.RED", "Outer.Inner", "make", "Lost('x')"])
def test_a_definition_of_the_script_is_returned_as_the_same_object(script, tmp_path, name):
    value = eval(name, script.__dict__)

    answer = unpack(elsewhere("answer = value", pack(value), tmp_path))

    if isinstance(value, Exception):
        assert type(answer) is script.Lost
    else:
        assert answer is value


def test_a_function_of_the_script_brings_the_globals_that_it_uses(script, tmp_path):
    answer = unpack(elsewhere("answer = value(5)", pack(script.make), tmp_path))

    assert answer == script.Point(5)
    assert type(answer) is script.Point


def test_an_answer_packed_for_the_main_process_names_the_scripts_class(script):
    packed = pack(script.Point(1), to_main=True)

    assert b"cloudpickle" not in packed
    assert unpack(packed) == script.Point(1)


def test_lambdas_and_local_classes_are_pickled_by_value(tmp_path):
    class Local:
        def __init__(self, x):
            self.x = x

    answer = unpack(
        elsewhere("answer = (value[0](4), value[1])", pack((lambda x: x * x, Local(3))), tmp_path)
    )

    assert answer[0] == 16
    assert type(answer[1]) is Local
    assert answer[1].x == 3


def test_a_module_that_others_can_not_import_is_pickled_by_value(tmp_path, monkeypatch):
    module = types.ModuleType("made_by_hand")
    exec("class Thing:\n    x = 5\ndef helper():\n    return Thing()", module.__dict__)
    monkeypatch.setitem(sys.modules, "made_by_hand", module)

    answer = unpack(elsewhere("answer = value().x", pack(module.helper), tmp_path))

    assert answer == 5
    assert not is_importable("made_by_hand")


@pytest.mark.parametrize(
    "name", ["os", "sys", "json.decoder", "lightning_lite.values.pickling", "numpy", "builtins", __name__]
)
def test_importable_modules_are_recognised(name):
    __import__(name)

    assert is_importable(name)


@pytest.mark.parametrize("name", ["__main__", "__mp_main__", "no_such_module"])
def test_modules_that_are_not_importable_are_recognised(name):
    assert not is_importable(name)


class Endless:
    def __reduce__(self):
        return (Endless, (Endless(),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (threading.Lock, "cannot pickle '_thread.lock' object"),
        (lambda: (item for item in ()), "generator"),
        (Raises, "KeyError: 'no'"),
        (Leaves, "SystemExit: 3"),
        (Endless, "recursion|Recursion"),
    ],
    ids=["lock", "generator", "raises", "leaves", "endless"],
)
@pytest.mark.parametrize("to_main", [False, True])
def test_a_value_that_can_not_be_pickled_is_a_packing_error_with_the_reason(make, message, to_main):
    with pytest.raises(PackingError, match=message):
        pack({"deep": [make()]}, to_main=to_main)


@pytest.mark.parametrize("mode", ["r", "w", "w+", "rb", "wb", "w+b"])
@pytest.mark.parametrize("to_main", [False, True])
def test_an_open_file_can_not_be_pickled(tmp_path, mode, to_main):
    (tmp_path / "file").write_text("text")

    with open(tmp_path / "file", mode) as file, pytest.raises(PackingError, match="cannot pickle '"):
        pack({"deep": [file]}, to_main=to_main)


def test_a_standard_stream_is_that_of_the_receiver(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)  # not that of pytest, which has a class of its own
    packed = pack({"out": sys.stdout})

    answer = elsewhere("import sys; answer = value['out'] is sys.stdout", packed, tmp_path)

    assert unpack(answer) is True


def test_a_pickling_method_of_the_user_is_used():
    class Counted:
        def __reduce__(self):
            return int, ("7",)

    assert unpack(pack([Counted()])) == [7]
