"""Call keys differ by type and order and are the same in every run; other arguments are refused by name."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import itertools
import os
import pathlib
import re
import subprocess
import sys
import threading
import uuid
from fractions import Fraction

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_lite.errors import ArgumentError
from lightning_lite.values.call_key import call_key
from lightning_lite.values.transferable import Transferable

from tests.support.exact_text import exact
from tests.support.unpicklable import Leaves, Raises


def key(*args, **kwargs):
    return call_key(args, kwargs)


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


class Parcel(Transferable):
    def __init__(self, label):
        self.label = label
        self.noise = object()

    def call_key(self):
        return ("parcel", self.label)


def function(x):
    return x


def local(value):
    return lambda x: x + value


# Arguments that all have different keys.
DIFFERENT = {
    "no argument": lambda: key(),
    "None": lambda: key(None),
    "1": lambda: key(1),
    "1.0": lambda: key(1.0),
    "True": lambda: key(True),
    "'1'": lambda: key("1"),
    "b'1'": lambda: key(b"1"),
    "bytearray": lambda: key(bytearray(b"1")),
    "1j": lambda: key(1j),
    "IntEnum": lambda: key(Number.ONE),
    "Decimal": lambda: key(decimal.Decimal(1)),
    "Fraction": lambda: key(Fraction(1)),
    "numpy int": lambda: key(numpy.int64(1)),
    "numpy int32": lambda: key(numpy.int32(1)),
    "0.0": lambda: key(0.0),
    "-0.0": lambda: key(-0.0),
    "nan": lambda: key(float("nan")),
    "inf": lambda: key(float("inf")),
    "-inf": lambda: key(float("-inf")),
    "0": lambda: key(0),
    "-1": lambda: key(-1),
    "huge": lambda: key(10**5000),
    "huge + 1": lambda: key(10**5000 + 1),
    "[1, 2]": lambda: key([1, 2]),
    "[2, 1]": lambda: key([2, 1]),
    "(1, 2)": lambda: key((1, 2)),
    "{1, 2}": lambda: key({1, 2}),
    "frozenset": lambda: key(frozenset({1, 2})),
    "two arguments": lambda: key(1, 2),
    "by name": lambda: key(a=1),
    "by another name": lambda: key(b=1),
    "position and name": lambda: key(1, a=2),
    "[[1], 2]": lambda: key([[1], 2]),
    "[[1, 2]]": lambda: key([[1, 2]]),
    "[1, [2]]": lambda: key([1, [2]]),
    "['ab', 'c']": lambda: key(["ab", "c"]),
    "['a', 'bc']": lambda: key(["a", "bc"]),
    "['a,b']": lambda: key(["a,b"]),
    "[]": lambda: key([]),
    "()": lambda: key(()),
    "{}": lambda: key({}),
    "set()": lambda: key(set()),
    "''": lambda: key(""),
    "surrogate": lambda: key("\ud800"),
    "{1: 2}": lambda: key({1: 2}),
    "{'1': 2}": lambda: key({"1": 2}),
    "{2: 1}": lambda: key({2: 1}),
    "{1: 2, 3: 4}": lambda: key({1: 2, 3: 4}),
    "{1: 4, 3: 2}": lambda: key({1: 4, 3: 2}),
    "point": lambda: key(Point(1.0)),
    "point 1": lambda: key(Point(1)),
    "point as dict": lambda: key({"x": 1.0, "y": 0.0}),
    "red": lambda: key(Color.RED),
    "blue": lambda: key(Color.BLUE),
    "a class": lambda: key(Point),
    "a function": lambda: key(function),
    "a builtin": lambda: key(len),
    "a method of a builtin": lambda: key([1].append),
    "a module": lambda: key(os),
    "a bound method": lambda: key(Point(1.0).__eq__),
    "a partial": lambda: key(functools.partial(function, 1)),
    "another partial": lambda: key(functools.partial(function, 2)),
    "a lambda": lambda: key(lambda x: x + 1),
    "another lambda": lambda: key(lambda x: x + 2),
    "a lambda with a default": lambda: key(lambda x=1: x + 1),
    "a closure over 1": lambda: key(local(1)),
    "a closure over 2": lambda: key(local(2)),
    "a path": lambda: key(pathlib.PurePosixPath("a/b")),
    "a date": lambda: key(datetime.date(2026, 1, 1)),
    "a moment": lambda: key(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)),
    "a uuid": lambda: key(uuid.UUID(int=1)),
    "a pattern": lambda: key(re.compile("a")),
    "a deque": lambda: key(collections.deque([1, 2])),
    "a defaultdict": lambda: key(collections.defaultdict(list, {1: 2})),
    "a range": lambda: key(range(3)),
    "an Ellipsis": lambda: key(...),
    "a traveller": lambda: key(Parcel("a")),
    "another traveller": lambda: key(Parcel("b")),
    "what a traveller says": lambda: key(("parcel", "a")),
    "array": lambda: key(numpy.array([1, 2, 3, 4])),
    "array of other values": lambda: key(numpy.array([1, 2, 4, 3])),
    "array of another type": lambda: key(numpy.array([1, 2, 3, 4], dtype="int32")),
    "array of another order of bytes": lambda: key(numpy.array([1, 2, 3, 4], dtype=">i8")),
    "array of another shape": lambda: key(numpy.array([[1, 2], [3, 4]])),
    "array of another dimension": lambda: key(numpy.array([[1, 2, 3, 4]])),
    "array of floats": lambda: key(numpy.array([1.0, 2, 3, 4])),
    "array of objects": lambda: key(numpy.array([1, "a", None, 4], dtype=object)),
    "array of dates": lambda: key(numpy.array(["2026-01-01"], dtype="datetime64[D]")),
    "array with fields": lambda: key(numpy.zeros(2, dtype=[("a", "i4"), ("b", "f4")])),
    "array with other fields": lambda: key(numpy.zeros(2, dtype=[("a", "i4"), ("c", "f4")])),
    "list of the array": lambda: key([1, 2, 3, 4]),
    "empty array": lambda: key(numpy.zeros((0, 3))),
    "other empty array": lambda: key(numpy.zeros((3, 0))),
}


def test_keys_differ_by_type_order_and_name():
    keys = {name: make() for name, make in DIFFERENT.items()}
    again = {name: make() for name, make in DIFFERENT.items()}

    same = [(one, other) for (one, a), (other, b) in itertools.combinations(keys.items(), 2) if a == b]
    assert same == []
    assert keys == again


def test_a_key_has_64_bits():
    assert re.fullmatch("[0-9a-f]{16}", key(1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: key(a=1, b=2), lambda: key(b=2, a=1)),
        (lambda: key({"a": 1, "b": {"c": 2, "d": 3}}), lambda: key({"b": {"d": 3, "c": 2}, "a": 1})),
        (lambda: key({"x", "y", "z"}), lambda: key({"z", "x", "y"})),
        (lambda: key([5, 5]), lambda: key([5, int("5")])),
        (lambda: key(["ab" * 500] * 2), lambda: key(["ab" * 500, "".join(["ab"] * 500)])),
        (lambda: key(float("nan")), lambda: key(-float("nan"))),
        (lambda: key(numpy.arange(4)[::-1]), lambda: key(numpy.array([3, 2, 1, 0]))),
        (lambda: key(numpy.asfortranarray(numpy.ones((2, 3)))), lambda: key(numpy.ones((2, 3)))),
        (lambda: key(numpy.asfortranarray(numpy.ones((90, 100)))), lambda: key(numpy.ones((90, 100)))),
        (lambda: key(numpy.ones((90, 200))[:, ::2]), lambda: key(numpy.ones((90, 100)))),
        (lambda: key(numpy.memmap("file", "f8", "w+", shape=9)), lambda: key(numpy.zeros(9))),
        (lambda: key(local(1)), lambda: key(local(1))),
        (lambda: key(Point(1.0)), lambda: key(Point(1.0))),
        (lambda: key(Parcel("a")), lambda: key(Parcel("a"))),
    ],
)
def test_order_of_dicts_and_sets_does_not_change_a_key(one, other):
    assert one() == other()


def shared():
    item = [1]
    return [item, item]


def test_a_shared_part_has_the_same_key_as_an_equal_copy():
    assert key(shared()) == key([[1], [1]])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, JSON)
def test_keys_are_equal_exactly_for_equal_arguments(one, other):
    assert (key(one) == key(other)) == (exact(one, order=False) == exact(other, order=False))


PROGRAM = """
from lightning_lite.values.call_key import call_key
def local(): return lambda x: {"u", "v", "w"} and x in {"p", "q", "r"}
class Bag:
    def __init__(self): self.items = {"k1", "k2", "k3"}
arguments = (
    {"x", "y", "z", 1, None}, frozenset("abcdef"), {"b": {"c", "d"}, "a": 1}, Bag(), local(), len, int,
    [{("t", "u"), ("v", "w")}],
)
print(call_key(arguments, {"name": {"s1", "s2"}, "other": 1.5}))
"""


@pytest.mark.parametrize("seeds", [4, pytest.param(200, marks=pytest.mark.torture)])
def test_a_key_is_the_same_in_processes_with_different_hash_seeds(seeds: int):
    found = set()
    for seed in range(seeds):
        environment = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-S", "-c", PROGRAM]
        found.add(subprocess.check_output(command, env={**os.environ, **environment}, text=True).strip())

    assert len(found) == 1
    assert re.fullmatch("[0-9a-f]{16}", found.pop())


def cycle():
    found = []
    found += [found, found]
    return found


def deep():
    found = []
    for _ in range(10_000):
        found = [found]
    return found


class Node:
    def __init__(self):
        self.me = self


class Forever:
    def __reduce__(self):
        return self.__reduce__()


def recursive_closure():
    def again():
        return again

    return again


@pytest.mark.parametrize(
    "bad",
    [
        threading.Lock,
        lambda: (item for item in ()),
        lambda: memoryview(b""),
        cycle,
        deep,
        Node,
        Raises,
        Leaves,
        Forever,
        recursive_closure,
        lambda: numpy.array([threading.Lock()], dtype=object),
        threading.Thread,
        Transferable,
    ],
    ids=lambda make: getattr(make, "__name__", str(make)),
)
def test_an_argument_without_a_stable_key_is_refused_by_name(bad):
    for arguments, where in [((1, bad()), "argument 1"), (([{"a": bad()}],), "argument 0")]:
        with pytest.raises(
            ArgumentError, match=rf"root\.work\.run: {where} has no key.*LightningWork\(call_key=\.\.\.\)"
        ):
            call_key(arguments, {}, "root.work")
    with pytest.raises(ArgumentError, match=r"argument 'model' has no key"):
        call_key((), {"model": bad()}, "root.work")


def test_a_value_of_call_key_without_a_stable_key_is_not_called_an_argument():
    with pytest.raises(ArgumentError) as refusal:
        call_key((1,), {}, "root.work", lambda x: threading.Lock())

    assert str(refusal.value).startswith(
        "root.work.run: the value that call_key returned has no key that is the same in every run: "
    )
    assert str(refusal.value).endswith(". Let that function return plain data.")


def test_a_key_does_not_depend_on_addresses():
    class Plain:
        pass

    assert key(Plain()) == key(Plain())
    assert key(object()) == key(object())
