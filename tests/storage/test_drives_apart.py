"""Drives that are not in the root: in another folder, which an argument, a variable or a file names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightning_lite import LightningApp
from lightning_lite.context import Caller, acting_as
from lightning_lite.errors import SettingError
from lightning_lite.run_options import RunOptions
from lightning_lite.settings import absolute_place, drives_apart, resolve_drives
from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveIdError
from lightning_lite.storage.stores import drive_names

from tests.cli.verbs import call
from tests.support.files import write
from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import run_python, run_verb
from tests.support.sharing import Sharing


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_all_files_of_works_are_in_the_folder_that_drives_names(tmp_path: Path, runner: str):
    app = LightningApp(Sharing(), drives=tmp_path / "apart")

    app.run(runner)

    assert app.root._answer == ("hello", "hello", ["hello"])
    assert app.root._listed == ("['note.txt']\n" if runner == "processes" else "[]\n")
    assert sorted(os.listdir(tmp_path / "apart/drives")) == [".files", ".paths", ".payloads", "d"]
    assert not (tmp_path / "root/drives").exists()
    assert (tmp_path / "root/runs").is_dir()
    assert (tmp_path / "root/paths/made").is_dir()


def test_the_variable_names_it_for_scripts_apps_and_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LIGHTNING_LITE_DRIVES", str(tmp_path / "apart"))
    write("a.txt", "text")

    Drive("lit://mine").put("a.txt")

    assert drive_names(str(tmp_path / "apart")) == ["mine"]
    assert RunOptions.resolve().drives == str(tmp_path / "apart")
    assert call(capfd, "drive", "ls").out == "mine\n"
    assert call(capfd, "drive", "ls", "--root", str(tmp_path / "root")).code == 2
    monkeypatch.delenv("LIGHTNING_LITE_DRIVES")
    assert call(capfd, "drive", "cat", "--drives", str(tmp_path / "apart"), "mine", "a.txt").out == "text"


def test_the_file_of_a_project_names_it_from_its_own_folder(tmp_path: Path):
    write("pyproject.toml", '[tool.lightning_lite]\ndrives = "data/drives"\n')
    os.makedirs("deep/er")
    here = os.getcwd()
    os.chdir("deep/er")

    assert resolve_drives() == f"{here}/data/drives"
    assert Drive("lit://d").root_dir == f"{here}/data/drives"


def test_a_folder_of_a_drive_has_priority_over_that_of_the_app_and_that_over_the_root(tmp_path: Path):
    with acting_as(Caller("work", "root.make", str(tmp_path / "root"), drives=str(tmp_path / "apart"))):
        assert Drive("lit://d", root_dir=tmp_path / "own").root_dir == str(tmp_path / "own")
        assert Drive("lit://d").root_dir == str(tmp_path / "apart")
        assert Drive("lit://d").call_key() == ("lit://d", str(tmp_path / "apart"))
    with acting_as(Caller("work", "root.make", str(tmp_path / "root"))):
        assert Drive("lit://d").root_dir == str(tmp_path / "root")


@pytest.mark.parametrize(
    "place",
    [
        "",
        "s3:/bucket/prefix",
        "gs://bucket",
        "s3://",
        "s3:///prefix",
        "s3://bucket/../other",
        "s3://b ucket",
        "a\0b",
    ],
)
def test_a_place_that_is_neither_a_folder_nor_a_url_is_refused_by_the_name_of_the_setting(place: str):
    with pytest.raises(SettingError, match=r"^drives must be the path of a folder, or a url such as"):
        drives_apart(place)
    with pytest.raises(SettingError, match=r"^root_dir must be the path of a folder, or a url such as"):
        absolute_place(place)


def test_a_place_with_a_password_is_refused_without_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    url = "s3://key:very-secret@bucket/prefix"
    monkeypatch.setenv("LIGHTNING_LITE_DRIVES", url)
    for refused in (
        RunOptions.resolve,
        lambda: Drive("lit://d").list(),
        lambda: Drive("lit://d", root_dir=url),
    ):
        with pytest.raises(SettingError) as error:
            refused()
        assert "very-secret" not in str(error.value)
    output = call(capfd, "drive", "ls")
    assert output.code == 2
    assert "LIGHTNING_LITE_DRIVES must be the path of a folder, or a url" in output.err
    assert "very-secret" not in output.err


def test_the_id_of_a_drive_is_no_url_and_the_error_says_where_urls_go():
    with pytest.raises(DriveIdError, match=r"use an id like 'lit://name', and say with drives= of the app"):
        Drive("s3://bucket/prefix")


def test_a_resumed_run_finds_its_drives_and_says_if_they_are_at_another_place(
    tmp_path: Path, forked_scripts: ForkedScripts
):
    app = write(
        "app.py",
        "import os\n"
        "from lightning_lite import LightningApp, LightningFlow, LightningWork\n"
        "from lightning_lite.storage import Drive\n"
        "class Put(LightningWork):\n"
        "    def run(self, drive):\n"
        "        open('a.txt', 'w').close()\n"
        "        drive.put('a.txt')\n"
        "class Names(LightningWork):\n"
        "    def run(self, drive):\n"
        "        return drive.list()\n"
        "class Interrupted(LightningFlow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.drive, self.put, self.names = Drive('lit://d'), Put(), Names()\n"
        "    def run(self):\n"
        "        self.put.run(self.drive)\n"
        "        if not os.path.exists('repaired'):\n"
        "            raise ArithmeticError('not yet')\n"
        "        self.stop(f'found {self.names.run(self.drive)}')\n"
        "LightningApp(Interrupted()).run('inline')\n",
    )
    apart = {**os.environ, "LIGHTNING_LITE_DRIVES": str(tmp_path / "apart")}
    first = run_python("app.py", env=apart)
    assert "not yet" in first.stderr
    write("repaired")

    same = run_verb("resume")

    assert (same.returncode, "The drives of run" in same.stdout + same.stderr) == (0, False), same.stderr
    assert "found ['a.txt']" in same.stdout + same.stderr
    assert not (tmp_path / "root/drives").exists()
    os.unlink("repaired")
    assert "not yet" in forked_scripts.run_to_end(app, env=apart).stderr
    write("repaired")
    moved = forked_scripts.run_to_end(app, env={**os.environ, "LIGHTNING_LITE_RESUME": "1"})
    assert f"were {tmp_path}/apart, and are now in the root: files that" in moved.stdout + moved.stderr
