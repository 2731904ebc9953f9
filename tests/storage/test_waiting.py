"""`get(timeout=)`: it waits for a missing path, and notices each way in which it can appear."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveNotFound, DriveTimeout, DriveTypeError
from lightning_lite.storage.fs import syscalls, watch

LONG = 100.0


def later(action: Callable[[], object]) -> threading.Thread:
    """Do something when the main thread waits already, most probably."""
    thread = threading.Timer(0.15, action)
    thread.start()
    return thread


@pytest.fixture(params=["inotify", "looking again"])
def way(request, monkeypatch) -> str:
    if request.param == "looking again":
        monkeypatch.setattr(watch, "_open_inotify", lambda folder: None)
    return request.param


def make(text: str = "text") -> None:
    Path("file").write_text(text)
    os.makedirs("folder/inner", exist_ok=True)
    Path("folder/inner/a").write_text(text)


@pytest.mark.parametrize(
    ("path", "put"),
    [
        ("file", lambda drive: drive.put("file")),
        ("x/y/file", lambda drive: drive.put("file", to="x/y/file")),
        ("folder/inner/a", lambda drive: drive.put("folder")),
        ("folder", lambda drive: drive.put("folder")),
        ("file", lambda drive: drive.put("file", move=True)),
        ("folder", lambda drive: drive.put("folder", move=True)),
    ],
)
def test_a_get_that_waits_gets_what_arrives(drive: Drive, way: str, path: str, put):
    make()
    thread = later(lambda: put(Drive("lit://d", component_name="other")))
    got = drive.get(path, to="copy", timeout=LONG)
    thread.join()
    assert os.path.exists(got)


@pytest.mark.parametrize("owner", [None, "other"])
def test_the_component_that_is_asked_for_counts(drive: Drive, owner: str | None):
    make()
    drive.put("file")
    if owner:
        thread = later(lambda: Drive("lit://d", allow_duplicates=True, component_name="other").put("file"))
        assert drive.get("file", to="copy", component_name=owner, timeout=LONG)
        thread.join()
    else:
        assert drive.get("file", to="copy", timeout=0)


def test_a_pattern_is_awaited_as_well(drive: Drive):
    make()
    thread = later(lambda: drive.put("file", to="runs/1/best.ckpt"))
    assert drive.get("runs/*/best.ckpt", timeout=LONG) == [os.path.abspath("runs/1/best.ckpt")]
    thread.join()


def test_a_wait_ends_in_time(drive: Drive, way: str):
    begin = time.monotonic()
    with pytest.raises(DriveTimeout, match=r"The following 'nothing' wasn't found in 0.3 seconds") as caught:
        drive.get("nothing", timeout=0.3)
    assert 0.3 <= time.monotonic() - begin < LONG
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, DriveNotFound)


def test_other_arrivals_do_not_end_a_wait(drive: Drive):
    make()
    thread = later(lambda: drive.put("file"))
    with pytest.raises(DriveTimeout):
        drive.get("nothing", timeout=0.6)
    thread.join()


@pytest.mark.parametrize("timeout", [0, -1])
def test_no_time_means_one_look(drive: Drive, timeout: float):
    with pytest.raises(DriveTimeout):
        drive.get("nothing", timeout=timeout)
    make()
    drive.put("file")
    assert drive.get("file", timeout=timeout)


@pytest.mark.parametrize("timeout", [1e12, math.inf])
def test_one_may_wait_for_ever(drive: Drive, way: str, timeout: float):
    make()
    thread = later(lambda: drive.put("file"))
    assert drive.get("file", to="copy", timeout=timeout)
    thread.join()


@pytest.mark.parametrize("timeout", ["3", True, math.nan, [1]])
def test_what_is_no_number_of_seconds_is_refused(drive: Drive, timeout):
    with pytest.raises(DriveTypeError, match="timeout must be a number of seconds"):
        drive.get("file", timeout=timeout)


def test_a_waiter_sleeps(drive: Drive, monkeypatch):
    """It looks once at the beginning and once for each arrival, not again and again."""
    make()
    looks = []
    real = Drive._has
    monkeypatch.setattr(Drive, "_has", lambda self, *args: looks.append(1) or real(self, *args))
    with pytest.raises(DriveTimeout):
        drive.get("nothing", timeout=0.5)
    assert len(looks) <= 3


def test_two_steps_wake_a_waiter_too(drive: Drive, monkeypatch):
    monkeypatch.setattr(syscalls, "exchange", lambda *places: False)
    make()
    drive.put("folder")
    Path("folder/new").write_text("new")
    thread = later(lambda: drive.put("folder"))
    assert drive.get("folder/new", to="copy", timeout=LONG)
    thread.join()
