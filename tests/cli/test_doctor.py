"""`lightning-lite doctor`: checks of the machine and of the root."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

import lightning_lite
from lightning_lite.cli.checks import file_system, machine, self_test
from lightning_lite.cli.checks.result import FAILURE, Finding, examine
from lightning_lite.errors import RunnerError

from tests.cli.verbs import call

pytestmark = pytest.mark.dependencies


@pytest.fixture
def fine_app(monkeypatch: pytest.MonkeyPatch):
    """Skip the small app, which takes a second."""
    monkeypatch.setattr(self_test, "check", lambda folder: Finding("self-test", "fine"))


def test_the_page_has_all_subjects_and_a_small_app_has_run(capfd: pytest.CaptureFixture[str]):
    output = call(capfd, "doctor", "--json")

    findings = {found["about"]: found for found in output.data["findings"]}
    assert output.code == 0, findings
    assert set(findings) == {
        "python", "install", "packages", "system", "cpus", "memory", "open files", "processes",
        "exit detection", "start method", "lightning apps", "settings", "terminal", "ray",
        "root", "file system", "owners, modes", "free space", "locks", "atomic exchange", "reflink",
        "file events", "journal", "command channel", "self-test",
    }  # fmt: skip
    assert all(set(found) == {"section", "about", "value", "state", "advice"} for found in findings.values())
    assert findings["self-test"]["value"].startswith("two works and a drive in ")
    assert "cloudpickle 3" in findings["packages"]["value"]
    assert findings["locks"]["value"] == "yes"


@pytest.mark.usefixtures("fine_app")
def test_the_page_is_plain_text_and_no_file_is_left(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    before = sorted(path.name for path in tmp_path.iterdir())

    output = call(capfd, "doctor")

    assert output.code == 0
    assert output.out.startswith("lightning_lite 0")
    assert "\x1b" not in output.out
    assert f"root             {os.environ['LIGHTNING_LITE_ROOT']}, does not exist yet" in output.out
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.usefixtures("fine_app")
def test_a_root_that_can_not_be_created_is_a_failure_with_advice(capfd: pytest.CaptureFixture[str]):
    output = call(capfd, "doctor", "--root", "/proc/nowhere")

    assert output.code == 1
    assert re.search(r"^x root +/proc/nowhere: ", output.out, re.MULTILINE)
    assert "--root DIR" in output.out


def test_an_app_that_fails_is_reported_with_its_last_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(self_test, "_APP", "lightning_lite.no_such_module")

    found = self_test.check(str(tmp_path))

    assert found.state == FAILURE
    assert "No module named lightning_lite.no_such_module" in found.value
    assert found.advice.endswith("python -m lightning_lite.no_such_module")


def test_a_check_that_raises_is_a_failure_and_the_others_still_run():
    def fail() -> Finding:
        raise RunnerError("no pipes left")

    found = list(examine(iter([("pipes", fail), ("python", machine._python)])))

    assert [each.state for each in found] == ["failure", "ok"]
    assert found[0].value == "RunnerError: no pipes left"


def test_another_distribution_with_a_package_of_that_name_is_a_failure_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    other = tmp_path / "lightning_lite-1.8.6.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: lightning-lite\nVersion: 1.8.6\n")
    (other / "RECORD").write_text("lightning_lite/__init__.py,,\n")
    (tmp_path / "lightning_lite").mkdir()
    (tmp_path / "lightning_lite/__init__.py").touch()  # since Python 3.12, only files that exist count
    monkeypatch.syspath_prepend(tmp_path)

    found = machine._install()

    assert found.state == FAILURE
    assert "another distribution has a package lightning_lite, too: lightning-lite" in found.value
    assert found.advice.startswith("pip uninstall lightning-lite lightning-lite-apps; then install ")


def test_the_installed_version_is_compared_with_that_of_the_imported_package(monkeypatch: pytest.MonkeyPatch):
    folder, version = os.path.dirname(lightning_lite.__file__), lightning_lite.__version__
    assert machine._install()[1:3] == (f"lightning-lite-apps {version}, {folder}", "ok")

    monkeypatch.setattr(machine.distribution, "__version__", "99.0")

    assert machine._install()[1:3] == (
        f"{folder} is 99.0, but lightning-lite-apps {version} is installed",
        "warning",
    )


def test_a_package_that_is_not_installed_is_named_with_its_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine.distribution, "NAME", "no-such-distribution")

    assert machine._install().value == f"{os.path.dirname(lightning_lite.__file__)}, not installed"


def test_each_package_that_the_distribution_requires_is_looked_up():
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())["project"]

    assert set(machine._NEEDED) == {re.match(r"[\w-]+", each)[0] for each in project["dependencies"]}


def test_a_missing_package_is_a_failure_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "_NEEDED", ("rich", "no-such-package"))

    found = machine._packages()

    assert (found.state, found.advice) == (FAILURE, "pip install no-such-package")


def test_low_limits_are_warnings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
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


def test_locks_that_do_not_work_are_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_system, "try_out", lambda folder: ["locks"])

    assert file_system._locks("/nowhere")[1:3] == ("locks do not work", FAILURE)


def test_a_root_with_access_for_other_users_is_a_warning(tmp_path: Path):
    tmp_path.chmod(0o755)

    found = file_system._root(str(tmp_path))

    assert (found.state, found.advice) == ("warning", f"other users have access: chmod 700 {tmp_path}")
