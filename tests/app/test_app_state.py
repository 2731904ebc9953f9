"""`AppState` in scripts, works and flows, and in programs that an app has started, with real processes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.app_state import FLOW_VARIABLE, RUN_VARIABLE, AppState, StateReads
from lightning_lite.errors import StateConflict, StateError
from lightning_lite.storage import Drive
from lightning_lite.testing import poll_until

from tests.app.state_works import Inner, Reported, Root
from tests.support.processes import DEADLINE, run_python

#: The state of `Root` as it begins.
TEXT = {"vars": {"text": "x"}}
FIRST = {
    "vars": {"number": 0, "names": ["a"]},
    "flows": {"inner": TEXT},
    "works": {"wait": {"vars": {"rate": 0.5}}},
    "structures": {"several": {"flows": {"one": TEXT}}},
}


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LightningApp, Path]]:
    """Run an app whose pass waits for a work, for all tests that may change only its state; and its root."""
    place = tmp_path_factory.mktemp("app")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        app = LightningApp(Root(), root_dir=place / "root")
        with app.start() as running:
            poll_until(lambda: running.run_id and app.root.wait.status.stage == "running", DEADLINE)
            yield app, place / "root"
            (place / "end").touch()


@pytest.fixture
def app(
    shared_app: tuple[LightningApp, Path], own_place: Path, monkeypatch: pytest.MonkeyPatch
) -> LightningApp:
    """Give a running app in its first state, which `AppState` finds."""
    app, root = shared_app
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(root))
    app.set_state(FIRST)
    return app


def run_outside(program: str, **variables: str) -> str:
    """Run lines in another process, in the same working directory; return their output."""
    done = run_python(
        "-c", f"from lightning_lite.app_state import AppState\n{program}", env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_reads_the_state_of_all_components(app: LightningApp):
    assert run_outside(
        "state = AppState()\n"
        "print(state, state.number, state.names, state.inner.text, state.wait.rate)\n"
        "print(len(state), list(state), 'wait' in state, bool(state), len(state.several))\n"
        "print(state.several['one'].text, [key for key, _ in state.several.items()])\n"
    ) == ("<AppState of root> 0 ['a'] x 0.5\n3 ['inner', 'wait', 'several'] True True 1\nx ['one']\n")


def test_a_script_changes_the_state_and_reads_its_own_changes_unless_they_are_too_long(app: LightningApp):
    printed = run_outside(
        "from lightning_lite.errors import StateError\n"
        "state = AppState()\n"
        "state.number += 5\n"
        "state.names = [*state.names, 'b']\n"
        "state.inner.text = state.several.one.text = 'y'\n"
        "state.wait.rate = 0.25\n"
        "print(state.number, state.names, state.inner.text, state.wait.rate)\n"
        "try:\n"
        "    state.inner.text = 'x' * 2 * 1024 * 1024\n"
        "except StateError as error:\n"
        "    print(error)\n"
    )

    changed, refusal = printed.splitlines()
    assert changed == "5 ['a', 'b'] y 0.25"
    assert "root.inner.text can't be changed from outside" in refusal
    assert "at most 2097152 bytes" in refusal
    assert (app.root.number, app.root.names, app.root.inner.text) == (5, ["a", "b"], "y")
    assert (app.root.several["one"].text, app.root.wait.rate) == ("y", 0.25)


def test_each_access_gives_the_value_as_of_now(app: LightningApp):
    state = AppState()
    assert state.number == 0

    app.set_state({"vars": {"number": 8}})

    assert state.number == 8


def test_a_change_that_starts_from_an_older_value_is_refused(app: LightningApp):
    state = AppState()
    number = state.number
    app.set_state({"vars": {"number": 8}})

    with pytest.raises(StateConflict, match=r"root\.number is 8 by now"):
        state.number = number + 1

    state.number = 9  # not read since, so it starts from the present value
    assert app.root.number == 9


def test_a_change_below_that_starts_from_an_older_value_is_refused(app: LightningApp):
    state = AppState()
    text = state.inner.text
    app.set_state({"flows": {"inner": {"vars": {"text": "newer"}}}})

    with pytest.raises(StateConflict, match=r"root\.inner\.text is 'newer' by now"):
        state.inner.text = text + "!"


def test_a_value_is_a_copy(app: LightningApp):
    state = AppState()
    state.names.append("b")

    assert state.names == app.root.names == ["a"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda state: state.other, "Failed to access 'other' through `AppState`"),
        (lambda state: setattr(state, "other", 1), "Failed to access 'other' through `AppState`"),
        (lambda state: setattr(state, "wait", 1), "You shouldn't set the works directly onto the state"),
        (lambda state: setattr(state, "inner", 1), "You shouldn't set the flows directly onto the state"),
        (lambda state: setattr(state, "number", object()), "AppState takes values that JSON has"),
        (lambda state: setattr(state, "drive", "lit://x"), "A Drive can't be changed from outside"),
    ],
)
def test_what_is_no_attribute_is_refused_by_name(app: LightningApp, change, text):
    with pytest.raises(AttributeError, match=text.replace("(", "[(]")):
        change(AppState())


def test_a_drive_is_that_of_the_app_and_belongs_to_the_component(own_place: Path):
    Path("note.txt").write_text("remember")
    app = LightningApp(Root(), root_dir=own_place / "other")
    with app.start() as running:
        run_id = poll_until(lambda: running.run_id, DEADLINE)
        printed = run_outside(
            f"drive = AppState(run={run_id!r}, root_dir='other').drive\n"
            "drive.put('note.txt')\n"
            "print(type(drive).__qualname__, drive.component_name, drive.root_dir)\n"
        )
        Path("end").touch()
        running.wait(DEADLINE)

    assert printed == f"Drive root {own_place / 'other'}\n"
    assert Drive("lit://shared", root_dir="other").list(component_name="root") == ["note.txt"]


def test_a_drive_that_can_not_be_used_here_is_a_text(own_place: Path):
    class Holder(Root):
        def __init__(self):
            super().__init__()
            Path("removed").mkdir()
            self.drive = Drive("lit://shared", root_folder="removed")

    app = LightningApp(Holder())
    with app.start() as running:
        poll_until(lambda: running.run_id and app.root.wait.status.stage == "running", DEADLINE)
        Path("removed").rmdir()
        assert "lit://shared" in AppState().drive
        Path("removed").mkdir()
        app.set_state({"vars": {"number": 1}})  # so that there is another state to read
        assert AppState().drive.id == "lit://shared"
        Path("removed").rmdir()
        assert "lit://shared" in AppState().drive
        Path("end").touch()
        running.wait(DEADLINE)


def test_a_component_that_is_not_there_is_refused(app: LightningApp):
    with pytest.raises(ValueError, match=r"there is no root\.none"):
        AppState(my_affiliation=("none",))
    assert AppState(my_affiliation=("inner",)).text == "x"


def test_a_program_of_the_app_has_the_state_of_its_flow(app: LightningApp, tmp_path: Path):
    folder = app._session.folder

    printed = run_outside(
        "print(AppState().text)",
        **{RUN_VARIABLE: folder, FLOW_VARIABLE: "root.inner", "LIGHTNING_LITE_ROOT": str(tmp_path / "other")},
    )

    assert printed == "x\n"


def test_without_an_app_the_error_asks_for_it(own_place: Path):
    with pytest.raises(AttributeError, match="Is the app running"):
        AppState()


def test_an_app_that_has_ended_can_be_read_and_not_changed(own_place: Path):
    app = LightningApp(Root())
    with app.start() as running:
        poll_until(lambda: running.run_id, DEADLINE)
        state = AppState(run=running.run_id)
        Path("end").touch()
        running.wait(DEADLINE)

    assert state.number == 0
    with pytest.raises(AttributeError, match="Is the app running"):
        state.number = 1


@pytest.mark.parametrize(
    ("runner", "is_parallel"), [("processes", False), ("inline", True), ("inline", False)]
)
def test_a_work_reads_the_app_and_changes_it(own_place: Path, runner: str, is_parallel: bool):
    root = Reported(parallel=is_parallel)

    LightningApp(root).run(runner)

    assert root._answer == ("<AppState of root.reporter>", "x")
    assert root.number == 7


class Own(LightningFlow):
    """Uses AppState in its own pass, as apps of Lightning do."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.inner = Inner()

    def run(self):
        state = AppState()
        if self.number == 0:
            assert state.number == 0
            state.number = -1
            assert self.number == 0
        else:
            assert state.number == -1
            self.stop("seen")


def test_a_flow_changes_itself_after_the_pass(own_place: Path, capfd):
    LightningApp(Own()).run()

    assert capfd.readouterr().out == "seen\n"


def test_a_value_that_can_not_be_state_is_refused(app: LightningApp):
    with pytest.raises(StateError):
        AppState().number = {1, 2}


def test_reads_have_changed_when_a_value_that_was_read_has_changed(app: LightningApp):
    state, reads = AppState(), StateReads()
    state.several.one.text  # noqa: B018 - not recorded
    with reads.recording():
        assert (state.number, state.names, hasattr(state, "later"), len(state.several)) == (
            0,
            ["a"],
            False,
            1,
        )
    assert not reads.have_changed()

    state.inner.text = "y"
    state.several.one.text = "y"
    assert not reads.have_changed()

    state.names = ["a", "b"]
    assert reads.have_changed()
    state.names = ["a"]
    assert not reads.have_changed()


def test_the_whole_state_is_there_as_nested_dicts(app: LightningApp):
    state, reads = AppState(), StateReads()
    with reads.recording():
        found = state._state

    assert found["vars"]["number"] == 0
    drive = Drive.from_dict(found["vars"]["drive"])
    assert (drive.id, drive.root_dir) == ("lit://shared", os.environ["LIGHTNING_LITE_ROOT"])
    assert json.loads(json.dumps(found)) == found
    assert found["structures"]["several"]["flows"]["one"]["vars"] == state.several.one._state["vars"]
    found["vars"]["number"] = 7
    assert state.number == 0  # it is a copy
    assert not reads.have_changed()

    state.several.one.text = "y"
    assert reads.have_changed()


def test_a_comparison_of_drives_reads_no_settings(app: LightningApp):
    state, reads = AppState(), StateReads()
    with reads.recording():
        assert state.drive.id == "lit://shared"
    Path("pyproject.toml").write_text("[tool.lightning_lite\n")  # as an editor may leave it for a moment
    app.set_state({"vars": {"number": 8}})  # so that there is another state to compare with

    assert state.number == 8
    assert not reads.have_changed()


def test_of_a_value_that_was_read_twice_the_first_one_counts(app: LightningApp):
    state, reads = AppState(), StateReads()
    with reads.recording():
        state.number += 1
        assert state.number == 1

    assert reads.have_changed()


def test_each_thread_records_what_it_reads(app: LightningApp):
    state, reads = AppState(), StateReads()
    with reads.recording():
        other = threading.Thread(target=lambda: state.number)
        other.start()
        other.join()
    state.number = 1

    assert not reads.have_changed()
