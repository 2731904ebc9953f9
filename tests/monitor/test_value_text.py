"""Values as text: nothing of the user is imported or run, and each size costs little."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import os
import pickle
import sys
import time

import numpy as np
import pytest

from lightning_lite import Path
from lightning_lite.monitor.value_text import LONG, describe, read_value, size_of
from lightning_lite.runs.journal_values import JournalValue
from lightning_lite.storage.drive import Drive
from lightning_lite.values.json_form import json_number
from lightning_lite.values.pickling import is_reference, pack


@dataclasses.dataclass
class Config:
    """A class of a user; a reader of the run can't import it."""

    rate: float
    layers: list[int]


class Slotted:
    __slots__ = ("size",)


class Harmful:
    """An object whose pickle runs a command."""

    def __reduce__(self):
        return os.system, ("touch /tmp/must-not-exist",)


def shown(value, **options) -> str:
    return describe(pickle.dumps(value, 5), **options).text


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (None, "None", "NoneType"),
        (True, "True", "bool"),
        (2.5, "2.5", "float"),
        ("a\n'b'", "\"a\\n'b'\"", "str"),
        ("\ud800", "'\\ud800'", "str"),
        (b"\x00a", "b'\\x00a'", "bytes"),
        ([1, (2,), {"a": {3}}], "[1, (2,), {'a': {3}}]", "list"),
        ((), "()", "tuple"),
        (set(), "set()", "set"),
        (frozenset({1}), "frozenset({1})", "frozenset"),
        (datetime.date(2026, 11, 29), "datetime.date(2026, 11, 29)", "date"),
        (collections.OrderedDict(a=1), "OrderedDict([('a', 1)])", "OrderedDict"),
        (ValueError("odd"), "ValueError('odd')", "ValueError"),
        (int, "int", "type"),
        (np.float32(0.5), "float32(0.5)", "float32"),
        (np.int64(-3), "int64(-3)", "int64"),
        (np.zeros((3, 4)), "ndarray float64 (3, 4)", "ndarray"),
        (np.zeros(3, bool), "ndarray bool (3,)", "ndarray"),
        (np.zeros(2, [("a", "f4")]), "ndarray V4 (2,)", "ndarray"),
        (Path("model.pt"), "Path('model.pt')", "Path"),
        (Drive("lit://models"), "Drive('lit://models')", "Drive"),
    ],
)
def test_values_have_a_text_and_a_type(value, text, kind):
    found = describe(pickle.dumps(value, 5))

    assert (found.text, found.type, found.is_cut) == (text, kind, False)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_are_summarised_in_each_protocol(protocol):
    assert (
        describe(pickle.dumps({"x": np.zeros((2, 2), "i4")}, protocol)).text == "{'x': ndarray int32 (2, 2)}"
    )


def test_an_array_that_is_sent_as_a_view_is_summarised_with_its_own_type():
    dates = np.zeros((100, 200), "datetime64[s]")
    mapped = np.memmap("file", "f4", "w+", shape=(100, 200))

    assert describe(pack([dates, mapped])).text == "[ndarray M8 (100, 200), memmap float32 (100, 200)]"


def test_attributes_are_shown_without_the_class(monkeypatch):
    slotted = Slotted()
    slotted.size = 3
    packed = pickle.dumps([Config(0.1, [1, 2]), slotted])
    monkeypatch.setitem(sys.modules, __name__, None)  # an import would fail

    assert describe(packed).text == "[Config(rate=0.1, layers=[1, 2]), Slotted(size=3)]"


def test_an_object_of_a_class_of_the_script_is_shown(monkeypatch):
    monkeypatch.setattr(Config, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Config", Config, raising=False)

    for to_main in (False, True):
        assert describe(pack(Config(0.1, [1]), to_main=to_main)).text == "Config(rate=0.1, layers=[1])"


def test_an_int_of_thousands_of_digits_is_summarised():
    assert shown(10**5000) == "an int of 16610 bits"


def test_nothing_is_run():
    assert shown(Harmful()) == "system('touch /tmp/must-not-exist')"
    assert not os.path.exists("/tmp/must-not-exist")


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x05nonsense", b"\x80\x05]", pickle.dumps([1])[:-1], b"\x80\x05."]
)
def test_damaged_data_say_so(data):
    found = describe(data)

    assert found.text == "not readable: it can't be unpickled without its classes"
    assert found.is_cut


def test_a_value_that_contains_itself_ends():
    value: list = []
    value.append(value)

    assert describe(pickle.dumps(value), 1000).text == "[" * 40 + "..." + "]" * 40


def test_a_long_text_is_cut():
    found = describe(pickle.dumps(["x" * 1000] * 1000))

    assert len(found.text) == 200
    assert found.text.endswith("...")
    assert found.is_cut


def test_a_long_value_is_written_on_lines():
    value = {"rates": list(range(60)), "name": "a"}

    found = describe(pickle.dumps(value), LONG, is_long=True)

    assert found.text.startswith("{\n  'rates': [\n    0,\n    1,\n")
    assert found.text.endswith("    59,\n  ],\n  'name': 'a',\n}")
    assert eval(found.text) == value
    assert not found.is_cut


def test_a_long_tuple_of_one_item_stays_one():
    value = ("x" * 200,)

    assert eval(describe(pickle.dumps(value), LONG, is_long=True).text) == value


def test_a_long_str_is_shown_itself():
    found = describe(pickle.dumps("one\ntwo " * 200_000), LONG, is_long=True)

    assert found.text == ("one\ntwo " * 200_000)[:LONG]
    assert found.is_cut


def test_big_values_take_bounded_time():
    for value in ("x" * 10**7, list(range(400_000)), {str(n): n for n in range(140_000)}, b"x" * 10**7):
        packed = pickle.dumps(value)
        began = time.process_time()
        assert len(describe(packed).text) <= 200
        assert len(describe(packed, LONG, is_long=True).text) <= LONG
        assert time.process_time() - began < 30  # a bound on hanging


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc" * 10_000_000, "str of 29 MiB: 'abcabc"),
        ([b"x" * 20_000_000], "list of 19 MiB, too large to be shown"),
        (b"x" * 20_000_000, "bytes of 19 MiB, too large to be shown"),
        (Config(0.1, [b"x" * 20_000_000]), "Config of 19 MiB, too large to be shown"),
    ],
    ids=["str", "list", "bytes", "object"],
)
def test_a_value_that_is_too_large_is_summarised(value, text, tmp_path):
    packed = pickle.dumps(value, 5)
    (tmp_path / "values").mkdir()
    on_disk = JournalValue.write(str(tmp_path), packed, durable=False)

    for place in (packed, on_disk):
        found = describe(place)
        assert found.text.startswith(text)
        assert (found.size, found.is_cut) == (len(packed), True)


def test_a_big_value_by_reference_is_summarised_from_its_pickle(tmp_path):
    packed = pack({"weights": np.zeros((600, 400)), "epoch": 3}, folder=str(tmp_path / "values"))
    assert is_reference(packed)

    found = describe(packed)

    assert found.text == "{'weights': ndarray float64 (600, 400), 'epoch': 3}"
    assert found.size > 600 * 400 * 8
    assert size_of(packed) == found.size


def test_the_pickle_of_a_reference_may_be_in_its_file(tmp_path):
    packed = pack(
        {"a": ["x" * 1000 for _ in range(3)], "big": list(range(700_000))}, folder=str(tmp_path / "v")
    )
    assert is_reference(packed)

    assert describe(packed).text.startswith("{'a': ['xxx")
    for file in (tmp_path / "v").iterdir():
        file.unlink()
    assert "can't be read, No such file or directory" in describe(packed).text


def test_a_reference_to_something_else_is_refused():
    hostile = pickle.dumps(Harmful())
    packed = pack([1])
    reference = packed[:0] + b"\x80\x05clightning_lite.values.value_files\nload\nB"
    data = reference + len(hostile).to_bytes(4, "little") + hostile + b"\x85R."
    assert is_reference(data)

    assert "is not part of a reference" in describe(data).text
    assert size_of(data) is None


def test_a_missing_value_says_so(tmp_path):
    on_disk = JournalValue.write(str(tmp_path), pickle.dumps("x" * 100), durable=False)
    os.unlink(on_disk.path)

    assert describe(on_disk).text.startswith("not readable: ")


def test_read_value_gives_plain_values():
    assert read_value(pickle.dumps({"a": [1]})) == {"a": [1]}


def test_numbers_that_are_not_finite_are_texts():
    assert [json_number(value) for value in (1.5, float("nan"), float("inf"))] == [1.5, "nan", "inf"]
