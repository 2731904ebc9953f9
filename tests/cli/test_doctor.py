"""`lightning-lite doctor`: the environment in one page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightning_lite.cli.checks import file_system, machine, self_test
from lightning_lite.cli.checks.result import FAILURE, Finding, examine
from lightning_lite.errors import RunnerError

from tests.cli.verbs import call

pytestmark = pytest.mark.dependencies


@pytest.fixture
def fine_app(monkeypatch: pytest.MonkeyPatch):
    """Leave out the small app."""
    monkeypatch.setattr(self_test, "check", lambda folder: Finding("self-test", "fine"))


def test_the_page_has_all_that_matters_and_a_real_app_has_run(capfd: pytest.CaptureFixture[str]):
    said = call(capfd, "doctor", "--json")

    findings = {found["about"]: found for found in said.data["findings"]}
    assert said.code == 0, findings
    assert set(findings) == {
        "python", "packages", "system", "cpus", "memory", "open files", "processes",
        "ends of processes", "start method", "settings", "terminal",
        "root", "file system", "room", "locks", "atomic exchange", "reflink", "news of files", "journal",
        "command channel", "self-test",
    }  # fmt: skip
    assert all(set(found) == {"section", "about", "value", "state", "advice"} for found in findings.values())
    assert findings["self-test"]["value"].startswith("two works and a drive in ")
    assert "cloudpickle 3" in findings["packages"]["value"]
    assert findings["locks"]["value"] == "hold"


@pytest.mark.usefixtures("fine_app")
def test_the_page_is_plain_text_and_nothing_stays_behind(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    before = sorted(path.name for path in tmp_path.iterdir())

    said = call(capfd, "doctor")

    assert said.code == 0
    assert said.out.startswith("lightning_lite 0")
    assert "\x1b" not in said.out
    assert f"root               {os.environ['LIGHTNING_LITE_ROOT']}, not there yet" in said.out
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.usefixtures("fine_app")
def test_a_place_where_nothing_can_be_made_is_a_failure_with_advice(capfd: pytest.CaptureFixture[str]):
    said = call(capfd, "doctor", "--root", "/proc/nowhere")

    assert said.code == 1
    assert "x root               /proc/nowhere: " in said.out
    assert "--root DIR" in said.out


def test_an_app_that_fails_is_told_by_its_last_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(self_test, "_APP", "lightning_lite.no_such_module")

    found = self_test.check(str(tmp_path))

    assert found.state == FAILURE
    assert "No module named lightning_lite.no_such_module" in found.value
    assert found.advice.endswith("python -m lightning_lite.no_such_module")


def test_a_check_that_can_not_look_is_a_failure_and_the_others_go_on():
    def fail() -> Finding:
        raise RunnerError("no pipes left")

    found = list(examine(iter([("pipes", fail), ("python", machine._python)])))

    assert [each.state for each in found] == ["failure", "ok"]
    assert found[0].value == "RunnerError: no pipes left"


def test_what_a_missing_package_needs_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "_NEEDED", ("rich", "no-such-package"))

    found = machine._packages()

    assert (found.state, found.advice) == (FAILURE, "pip install no-such-package")


def test_limits_that_are_tight_are_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(machine, "_CGROUP", str(tmp_path))
    (tmp_path / "pids.max").write_text("100\n")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (256, 4096))

    assert machine._processes().state == "warning"
    assert "100 in this container" in machine._processes().value
    assert "limited to 1.5" in machine._cpus().value
    assert machine._open_files()[1:] == (
        "256 (hard limit 4096)",
        "warning",
        "raise it for many works: ulimit -n 4096",
    )


def test_locks_that_do_not_hold_are_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_system, "try_out", lambda folder: ["locks"])

    assert file_system._locks("/nowhere")[1:3] == ("locks do not hold", FAILURE)


def test_a_root_that_others_may_look_into_is_warned_of(tmp_path: Path):
    tmp_path.chmod(0o755)

    found = file_system._root(str(tmp_path))

    assert (found.state, found.advice) == ("warning", f"other users may look into it: chmod 700 {tmp_path}")
