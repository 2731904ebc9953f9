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
    """Call a function in a thread, most probably after the main thread has begun to wait."""
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
def test_a_wait_for_a_component_ignores_other_components(drive: Drive, owner: str | None):
    make()
    drive.put("file")
    if owner:
        thread = later(lambda: Drive("lit://d", allow_duplicates=True, component_name="other").put("file"))
        assert drive.get("file", to="copy", component_name=owner, timeout=LONG)
        thread.join()
    else:
        assert drive.get("file", to="copy", timeout=0)


def test_a_get_waits_for_a_pattern(drive: Drive):
    make()
    thread = later(lambda: drive.put("file", to="runs/1/best.ckpt"))
    assert drive.get("runs/*/best.ckpt", timeout=LONG) == [os.path.abspath("runs/1/best.ckpt")]
    thread.join()


def test_a_wait_ends_at_its_timeout(drive: Drive, way: str):
    begin = time.monotonic()
    with pytest.raises(DriveTimeout, match=r"The path 'nothing' wasn't found in 0.3 s;") as caught:
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
def test_a_timeout_of_zero_checks_once(drive: Drive, timeout: float):
    with pytest.raises(DriveTimeout):
        drive.get("nothing", timeout=timeout)
    make()
    drive.put("file")
    assert drive.get("file", timeout=timeout)


@pytest.mark.parametrize("timeout", [1e12, math.inf])
def test_a_timeout_may_be_infinite(drive: Drive, way: str, timeout: float):
    make()
    thread = later(lambda: drive.put("file"))
    assert drive.get("file", to="copy", timeout=timeout)
    thread.join()


@pytest.mark.parametrize("timeout", ["3", True, math.nan, [1]])
def test_a_timeout_that_is_not_a_number_is_refused(drive: Drive, timeout):
    with pytest.raises(DriveTypeError, match="timeout must be a number of seconds"):
        drive.get("file", timeout=timeout)


def test_a_wait_checks_once_per_arrival(drive: Drive, monkeypatch):
    """It checks once at the beginning and once for each arrival."""
    make()
    looks = []
    real = Drive._has
    monkeypatch.setattr(Drive, "_has", lambda self, *args: looks.append(1) or real(self, *args))
    with pytest.raises(DriveTimeout):
        drive.get("nothing", timeout=0.5)
    assert len(looks) <= 3


def test_an_exchange_in_two_steps_wakes_a_waiting_get(drive: Drive, monkeypatch):
    monkeypatch.setattr(syscalls, "exchange", lambda *places: False)
    make()
    drive.put("folder")
    Path("folder/new").write_text("new")
    thread = later(lambda: drive.put("folder"))
    assert drive.get("folder/new", to="copy", timeout=LONG)
    thread.join()
