"""`lightning-lite init app`: the app that it creates runs; files that exist stay."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

from lightning_lite.cli.verbs import init

from tests.cli.verbs import call, is_refused


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # the test of an app needs no plugin
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_app_runs_and_its_test_passes(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    Path("my apps").mkdir()
    output = call(capfd, "init", "app", "my apps/words")

    assert output.code == 0
    assert "cd 'my apps/words'\n" in output.out
    folder = Path("my apps", "words")
    assert run(folder, "lightning_lite", "run", "app.py") == "The text has 9 words.\n"
    assert "1 passed" in run(folder, "pytest", "-q", "--basetemp", str(tmp_path / "tests"))
    assert not list(folder.glob("text*"))
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] == "words"
    assert (folder / ".gitignore").is_file()
    assert os.listdir("my apps") == ["words"]


def test_the_readme_says_how_to_install_what_is_not_on_pypi(capfd: pytest.CaptureFixture[str]):
    call(capfd, "init", "app", "words")
    checkout = Path(init.__file__).parents[3]

    readme = Path("words", "README.md").read_text()
    assert f"$ pip install {shlex.quote(str(checkout))} " in readme
    assert "pypi.org" not in readme


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install lightning-lite-apps"),
        ('{"url": "file:///my%20wheels/a.whl", "archive_info": {}}', "pip install '/my wheels/a.whl'"),
        (
            '{"url": "https://git.example/a", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}',
            "pip install git+https://git.example/a@12ab",
        ),
    ],
)
def test_an_installed_package_is_installed_again_from_the_same_place(
    origin: str | None, command: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(init, "__file__", "/venv/lib/site-packages/lightning_lite/cli/verbs/init.py")
    monkeypatch.setattr(init, "distribution", lambda name: SimpleNamespace(read_text=lambda file: origin))

    assert init._install_command() == command


def test_each_template_is_used():
    folder = Path(str(files("lightning_lite.cli") / "new_app"))
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.template")}
    assert found == set(init._FILES.values())


def test_an_empty_folder_gets_the_files(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    Path("words").mkdir()
    monkeypatch.chdir("words")
    output = call(capfd, "init", "app", ".")
    assert "cd " not in output.out
    found = {path.relative_to(".").as_posix() for path in Path().rglob("*") if path.is_file()}
    assert found == set(init._FILES)


def test_nothing_is_replaced(capfd: pytest.CaptureFixture[str]):
    Path("used").mkdir()
    Path("used", "app.py").write_text("mine")
    is_refused(call(capfd, "init", "app", "used"), 2, "used", "is not empty")
    Path("file").write_text("mine")
    is_refused(call(capfd, "init", "app", "file"), 2, "file", "is a file")
    is_refused(call(capfd, "init", "app", "file/words"), 1, "can't be created", "words")
    assert Path("used", "app.py").read_text() == "mine"
    assert Path("file").read_text() == "mine"
    assert sorted(os.listdir()) == ["file", "used"]


@pytest.mark.parametrize("name", ["-x", "two words", "${name}", "a/..b-", "ümlaut"])
def test_a_name_that_no_project_can_have_is_refused(name: str, capfd: pytest.CaptureFixture[str]):
    is_refused(call(capfd, "init", "app", "--", name), 2, "can't be the name of a project")
    assert not os.listdir()


def test_only_apps_can_be_created(capfd: pytest.CaptureFixture[str]):
    is_refused(call(capfd, "init", "component", "x"), 2, "'component' is not 'app'")
