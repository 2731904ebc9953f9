"""`lightning-lite config`, and the table of settings in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lightning_lite.cli.checks import self_test
from lightning_lite.cli.checks.result import Finding
from lightning_lite.settings import SETTINGS, describe_unknown_variables

from tests.cli.verbs import call
from tests.support.processes import run_script

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def file() -> Path:
    """Write a file with settings, and return its path."""
    file = Path("pyproject.toml").absolute()
    file.write_text("[tool.lightning_lite]\nview = false\nhistory = 7\n")
    return file


def test_config_shows_each_setting_with_its_origin(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_RUNNER", "inline")

    shown = call(capfd, "config", "--origin")

    lines = [re.split(r"  +", line) for line in shown.out.splitlines()]
    assert [line[0] for line in lines[1 : len(SETTINGS) + 1]] == list(SETTINGS)
    for line in (
        ["runner", "inline", "LIGHTNING_LITE_RUNNER"],
        ["view", "false", str(file)],
        ["history", "7", str(file)],
        ["start_method", "spawn", "default"],
    ):
        assert line in lines
    assert shown.out.endswith(f"\n\nFile: {file}\n")


def test_an_unknown_variable_is_named_with_the_nearest_one(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_RUNER", "inline")
    monkeypatch.setenv("LIGHTNING_LITE_QQQQQ", "1")

    lines = call(capfd, "config").err.splitlines()

    assert lines == [
        "Warning: LIGHTNING_LITE_QQQQQ is not a variable of lightning_lite; "
        "`lightning-lite config --json` lists those that are.",
        "Warning: LIGHTNING_LITE_RUNER is not a variable of lightning_lite; "
        "did you mean LIGHTNING_LITE_RUNNER?",
    ]


def test_each_variable_in_the_code_of_the_package_is_known():
    sources = (PROJECT / "lightning_lite").rglob("*.py")
    names = {
        name for file in sources for name in re.findall(r'"(LIGHTNING_LITE_[A-Z_]*[A-Z])"', file.read_text())
    }

    unknown = describe_unknown_variables(dict.fromkeys(names, "1"))

    assert len(names) > 20
    assert set(unknown) == {"LIGHTNING_LITE_VIEV"}, "one is an example"


def test_config_without_origin_says_what_each_setting_means(capfd: pytest.CaptureFixture[str]):
    shown = call(capfd, "config").out

    assert all(setting.about in shown for setting in SETTINGS.values())
    assert shown.endswith("There is no pyproject.toml with [tool.lightning_lite] here or above.\n")


def test_config_as_json_has_values_origins_and_defaults(file: Path, capfd: pytest.CaptureFixture[str]):
    data = call(capfd, "config", "--json").data

    assert data["file"] == str(file)
    found = {each["name"]: each for each in data["settings"]}
    assert found["history"] == {
        "name": "history",
        "value": 7,
        "origin": str(file),
        "variable": "LIGHTNING_LITE_HISTORY",
        "values": "a whole number, 0 or more",
        "default": 10_000,
        "in_file": True,
        "means": SETTINGS["history"].about,
    }
    assert found["resume"]["in_file"] is False


def test_doctor_names_the_settings_of_the_environment_and_of_the_file(
    file: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(self_test, "check", lambda folder: Finding("self-test", "fine"))

    assert f"history=7 ({file})" in call(capfd, "doctor").out


def test_the_help_of_run_has_the_texts_of_the_table(capfd: pytest.CaptureFixture[str]):
    shown = " ".join(call(capfd, "run", "--help").out.split())

    for name in ("runner", "start_method", "root_dir", "log_level", "view", "retry_failed"):
        assert SETTINGS[name].about in shown


def test_the_page_has_the_table_of_all_settings():
    table = run_script(PROJECT / "tools" / "settings_table.py")

    assert table in (PROJECT / "docs" / "settings.md").read_text("utf-8")
