"""Tracebacks: frames of the user are shown, frames of the package are folded."""

from __future__ import annotations

import re
import traceback
from unittest.mock import Mock

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import ArgumentError, StateError
from lightning_lite.testing import EmptyFlow
from lightning_lite.tracebacks import (
    RemoteTraceback,
    find_user_error,
    format_user_frames,
    leave_out_own_frames,
    warn_at,
)
from lightning_lite.values.call_key import call_key
from lightning_lite.values.pickling import pack, unpack

pytestmark = pytest.mark.dependencies


class Work(LightningWork):
    def run(self, what):
        if what == "state":
            self.unknown = 1
        return 1 / 0


class Odd:
    def __reduce__(self):
        raise LookupError("not today")


def caught(function, *arguments):
    """Return the error of a call."""
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001 - the tests examine any exception
        return error
    raise AssertionError("nothing was raised")


def names(trace):
    return [frame.name for frame in traceback.extract_tb(trace)]


def without_places(text):
    return re.sub(r'File "[^"]*", line \d+', "File", re.sub(r"^ +[\^~]+\n", "", text, flags=re.MULTILINE))


def test_our_frames_between_those_of_the_user_are_one_line_in_a_text():
    error = caught(Work().run, "divide")

    assert without_places(format_user_frames(error)) == (
        "Traceback (most recent call last):\n"
        "  File, in caught\n    function(*arguments)\n"
        "  ... 1 frame of lightning_lite\n"
        "  File, in run\n    return 1 / 0\n"
        "ZeroDivisionError: division by zero\n"
    )


def test_our_frames_behind_those_of_the_user_are_folded_if_the_error_is_one_of_ours():
    text = without_places(format_user_frames(caught(Work().run, "state")))

    assert re.search(r"    self\.unknown = 1\n  \.\.\. [2-9] frames of lightning_lite\n.*StateError: ", text)


def test_our_frames_before_those_of_the_user_are_left_out():
    error = caught(Work().run, "divide")
    error.__traceback__ = error.__traceback__.tb_next  # as in a work, where no frame of the user is a caller

    assert without_places(format_user_frames(error)).startswith(
        "Traceback (most recent call last):\n  File, in run\n    return 1 / 0\n"
    )


def test_the_last_frames_of_an_unexpected_error_are_shown():
    text = without_places(format_user_frames(caught(unpack, b"garbage")))

    assert "  File, in unpack\n" in text
    assert "frames of lightning_lite" not in text


def test_what_led_to_an_error_is_folded_as_well():
    text = without_places(format_user_frames(caught(call_key, ([Odd()],), {})))

    first, _, second = text.partition("The above exception was the direct cause")
    assert re.match(
        r"Traceback .*\n  File, in __reduce__\n    raise LookupError.*\nLookupError: not today\n", first
    )
    assert re.search(
        r"    function\(\*arguments\)\n  \.\.\. \d frames? of lightning_lite\n.*ArgumentError: ", second
    )


def test_the_reason_of_the_user_is_found_behind_our_own_errors():
    of_user = caught(pack, Odd())
    assert isinstance(of_user.__cause__, LookupError)

    of_user.__traceback__ = of_user.__traceback__.tb_next  # without the frame of this test
    assert find_user_error(of_user) is of_user.__cause__

    ours = caught(pack, (item for item in ()))
    ours.__traceback__ = ours.__traceback__.tb_next
    assert find_user_error(ours) is None
    assert ours.__cause__.__context__ is None  # the first attempt, by reference, is no part of it


def test_an_exception_loses_our_frames():
    error = caught(Work().run, "state")
    assert len(names(error.__traceback__)) > 4

    leave_out_own_frames(error)

    assert isinstance(error, StateError)
    assert names(error.__traceback__) == ["caught", "run"]

    error.__traceback__ = caught(call_key, (Odd(),), {}).__traceback__.tb_next
    leave_out_own_frames(error)
    assert error.__traceback__ is None


def test_an_exception_that_led_to_it_loses_all_of_them():
    error = caught(call_key, (Odd(),), {})
    leave_out_own_frames(error)

    assert isinstance(error, ArgumentError)
    assert names(error.__traceback__) == ["caught"]
    assert names(error.__cause__.__traceback__) == ["__reduce__"]


def test_an_unexpected_error_keeps_its_last_frames():
    error = caught(unpack, b"garbage")
    leave_out_own_frames(error)

    assert names(error.__traceback__) == ["caught", "unpack"]


def test_an_exception_of_a_work_has_only_the_line_of_the_user():
    error = caught(unpack, b"garbage")
    error.__cause__ = RemoteTraceback("Traceback ...")
    leave_out_own_frames(error)

    assert names(error.__traceback__) == ["caught"]


def test_exceptions_that_led_to_each_other_in_a_ring_are_no_trap():
    error = caught(Work().run, "divide")
    error.__context__ = other = ValueError()
    other.__context__ = error

    leave_out_own_frames(error)

    assert names(error.__traceback__) == ["caught", "run"]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_an_interruption_ends_with_the_line_of_the_user(ending):
    error = ending().with_traceback(caught(unpack, b"garbage").__traceback__)
    leave_out_own_frames(error)

    assert names(error.__traceback__) == ["caught"]


@pytest.mark.parametrize("function", [EmptyFlow().run, Mock()], ids=["of the package", "mock"])
def test_a_warning_about_a_function_without_a_line_of_the_user_shows_who_called_the_package(function):
    with pytest.warns(UserWarning, match="slow") as shown:
        warn_at(function, "slow", UserWarning)

    assert [warning.filename for warning in shown] == [__file__]


def test_a_warning_for_code_without_the_name_of_a_module_is_shown():
    code = """
from lightning_lite.tracebacks import warn_at, warn_user
def user(): pass
def warn():
    warn_user("one", UserWarning)
    warn_at(user, "two", UserWarning)
"""
    space = {}
    exec(compile(code, "user.py", "exec"), space)
    with pytest.warns(UserWarning, match="one|two") as shown:
        space["warn"]()

    assert [(str(each.message), each.filename, each.lineno) for each in shown] == [
        ("one", "user.py", 5),
        ("two", "user.py", 3),
    ]


class Divides(LightningFlow):
    def run(self):
        return 1 / 0


@pytest.mark.parametrize("runs", [LightningApp.run, lambda app: app.start().wait()])
def test_an_app_leaves_out_our_frames_unless_it_is_debugged(runs, monkeypatch):
    monkeypatch.setenv("LIGHTNING_LITE_RUNNER", "inline")
    usual, debugged = (
        names(caught(runs, LightningApp(Divides(), log_level=level)).__traceback__)
        for level in ("info", "debug")
    )

    assert [name for name in usual if name not in ("<lambda>", "wait")] == ["caught", "run"]
    assert "_run_root" in debugged
