"""State values are encoded exactly or refused; equal bytes mean equal values."""

from __future__ import annotations

import collections
import contextlib
import datetime
import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_lite.errors import StateError
from lightning_lite.values.codec import decode, encode

from tests.support.exact_text import exact

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), inner)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_each_accepted_value_is_decoded_exactly(value):
    assert exact(decode(encode(value, "x")), order=True) == exact(value, order=True)


@given(VALUES, VALUES)
def test_encoded_values_are_equal_exactly_for_equal_values(one, other):
    assert (encode(one, "x") == encode(other, "x")) == (exact(one, order=True) == exact(other, order=True))


@pytest.mark.parametrize(
    "value",
    [
        (),
        (1, (2,)),
        {1: "a", "1": "b"},
        {True: 1},
        {None: 1},
        math.inf,
        -0.0,
        10**5000,
        "\ud800",
        "a\0b",
        {"a.b": 1},
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else "huge",
)
def test_values_are_decoded_unchanged(value):
    back = decode(encode(value, "x"))

    assert type(back) is type(value)
    assert back == value
    # An int this big has no text.
    assert isinstance(value, int) or exact(back, order=True) == exact(value, order=True)


def test_nan_is_decoded_as_nan():
    assert math.isnan(decode(encode({"a": float("nan")}, "x"))["a"])


def test_a_decoded_value_shares_no_part_with_the_original():
    value = {"a": [1]}

    decode(encode(value, "x"))["a"].append(2)

    assert value == {"a": [1]}


def test_shared_parts_do_not_change_the_bytes():
    item = ["long enough not to be interned " * 3]

    assert encode([item, item], "x") == encode([list(item), list(item)], "x")


def test_a_string_of_20_million_characters_is_accepted():
    value = "x" * 20_000_000

    assert len(decode(encode({"big": value}, "x"))["big"]) == len(value)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_a_nested_value_is_accepted():
    assert decode(encode(nested(100), "x")) == nested(100)


def cycle():
    value = []
    value.append({"me": value})
    return value


@pytest.mark.parametrize(
    "make", [cycle, lambda: nested(sys.getrecursionlimit() + 10)], ids=["cycle", "endless"]
)
def test_cycles_and_very_deep_nesting_are_refused(make):
    with pytest.raises(StateError, match=r"^root\.work\.tree is nested too deeply or contains itself"):
        encode(make(), "root.work.tree")


@pytest.mark.parametrize("kind", [collections.Counter, collections.OrderedDict])
@pytest.mark.parametrize("attribute", [1, object()])
def test_an_attribute_of_a_dict_is_refused_and_not_lost(kind, attribute):
    value = kind(a=1)
    value.extra = attribute

    with pytest.raises(StateError, match=r"(?s)root\.x\[0\]\.extra with .*has no attributes of its own"):
        encode([value], "root.x")


@pytest.mark.parametrize("depth", range(100, 1000, 50))
def test_a_value_of_any_depth_is_decoded_exactly_or_refused(depth):
    with contextlib.suppress(StateError):
        assert decode(encode(nested(depth), "x")) == nested(depth)


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ([0, {1}], r"root\.x\[1\]"),
        ({"a": {"b": (0, {1})}}, r"root\.x\['a'\]\['b'\]\[1\]"),
        ({(1, 2): 3}, r"root\.x with the key \(1, 2\)"),
        ({b"a": 1}, r"root\.x with the key b'a'"),
        (type("Own", (dict,), {})(a=1), r"root\.x with {.a.: 1} of type .*Use dict\(value\)"),
        (
            collections.defaultdict(lambda: 0),
            r"root\.x\.default_factory with .*Use a built-in type: defaultdict\(int\)",
        ),
        (collections.namedtuple("Pair", "a b")(1, 2), r"root\.x with Pair\(a=1, b=2\).*Use tuple\(value\)"),
        (datetime.date(2026, 1, 1), r"root\.x with datetime\.date\(2026, 1, 1\) of type datetime\.date"),
        (range(3), r"root\.x with range\(0, 3\)"),
        ("x".__class__, r"root\.x with <class 'str'>"),
    ],
)
def test_a_refusal_names_the_path_to_the_part_that_is_not_plain_data(bad, path):
    with pytest.raises(StateError, match=rf"(?s){path}") as refusal:
        encode(bad, "root.x")

    assert refusal.value.where.startswith("root.x")
    assert refusal.value.found


def test_a_long_value_is_shortened_in_the_message():
    with pytest.raises(StateError) as refusal:
        encode({"a": set(range(10_000))}, "root.x")

    assert len(str(refusal.value)) < 1000
