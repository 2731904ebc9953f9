"""One object in one file: it comes back unchanged, and a damaged file is reported."""

from __future__ import annotations

import os
import pathlib
import random
import threading
import tracemalloc

import numpy as np
import pytest

from lightning_lite.storage import pickle_file
from lightning_lite.storage.errors import DriveError
from lightning_lite.values.pickling import PackingError

VALUES = {
    "none": None,
    "nested": {"a": [1, (2.5, "é")], 3: {4}},
    "bytes": b"x" * 100_000,
    "small array": np.arange(3),
    "big array": np.arange(100_000).reshape(100, 1000),
    "in Fortran's order": np.asfortranarray(np.arange(10_000.0).reshape(100, 100)),
    "not contiguous": np.arange(100_000)[::3],
    "of dates": np.arange(100_000).view("datetime64[s]"),
    "of durations in Fortran's order": np.asfortranarray(np.ones((300, 400), "timedelta64[ms]")),
    "of dates, not contiguous": np.arange(100_000).view("datetime64[D]")[::2],
    "with dates in fields": np.zeros(10_000, [("a", "datetime64[s]"), ("b", "f4")]),
    "masked": np.ma.array(np.arange(100_000), mask=[False, True] * 50_000),
    "empty": np.empty((0, 3)),
    "of text": np.array(["a", "bcd"] * 5000),
    "several": [np.full(5000, n, dtype) for n, dtype in enumerate(("i1", "u4", "f8", "c16"))],
    "of objects": np.array([None, 1, "x"] * 1000, dtype=object),
    "an array in a bytearray": bytearray(100_000),
}


def same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and (one == other).all()
    if isinstance(one, list):
        return all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_what_comes_back_is_what_went_in(value):
    pickle_file.dump(value, "file")

    assert same(value, pickle_file.load("file"))


@pytest.mark.parametrize("name", [name for name in VALUES if "dates" in name or "durations" in name])
def test_the_content_of_an_array_of_dates_is_a_buffer_of_the_file(name):
    pickled, buffers = pickle_file._pickled(VALUES[name])

    assert len(pickled) < 1000
    assert [buffer.raw().nbytes for buffer in buffers] == [VALUES[name].nbytes]


def test_an_array_may_be_written_to_if_the_one_that_went_in_was_and_the_file_stays():
    array = np.arange(100_000)
    fixed = np.arange(100_000)
    fixed.flags.writeable = False
    pickle_file.dump([array, fixed, array], "file")
    before = pathlib.Path("file").read_bytes()

    one, two, three = pickle_file.load("file")
    one[:] = 0

    assert one is three
    assert not two.flags.writeable
    assert pathlib.Path("file").read_bytes() == before
    assert same(array, pickle_file.load("file")[0])


def test_a_class_and_a_function_without_a_module_travel_by_value():
    class Local:
        def __init__(self, array):
            self.array = array
            self.function = lambda x: x + 1

    pickle_file.dump(Local(np.arange(10_000)), "file")
    found = pickle_file.load("file")

    assert type(found).__name__ == "Local"
    assert found.function(1) == 2
    assert same(found.array, np.arange(10_000))


def test_neither_writing_nor_reading_copies_the_buffers():
    array = np.ones(8 * 1024 * 1024)
    tracemalloc.start()
    try:
        pickle_file.dump({"array": array}, "file")
        loaded = pickle_file.load("file")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert same(array[-10:], loaded["array"][-10:])
    assert loaded["array"].ctypes.data % 64 == 0
    assert peak < array.nbytes / 16


def test_what_can_not_be_pickled_says_why_and_leaves_nothing():
    with pytest.raises(PackingError, match="cannot pickle"):
        pickle_file.dump([threading.Lock()], "file")
    assert not os.path.exists("file")


def test_a_file_that_is_there_is_not_written_over():
    pathlib.Path("file").write_text("precious")

    with pytest.raises(FileExistsError):
        pickle_file.dump(1, "file")
    assert pathlib.Path("file").read_text() == "precious"


def test_a_damaged_file_is_reported_as_damaged():
    pickle_file.dump(np.arange(1000), "file")
    whole = pathlib.Path("file").read_bytes()
    damaged = [b"", b"x", b"text" * 100, whole[:-1], whole + b"x", whole[:20], b"X" + whole[1:]]
    damaged += [whole[: random.randrange(len(whole))] for _ in range(20)]
    damaged += [whole[:8] + os.urandom(8) + whole[16:] for _ in range(20)]

    for number, content in enumerate(damaged):
        pathlib.Path(f"file{number}").write_bytes(content)
        with pytest.raises(DriveError, match=f"file{number}' is damaged"):
            pickle_file.load(f"file{number}")
