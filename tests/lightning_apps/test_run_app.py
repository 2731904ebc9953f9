"""`run app FILE` with the options of Lightning App: which have an effect, are idle or are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.verbs import call, is_refused
from tests.support.processes import run_verb

pytestmark = pytest.mark.dependencies

APP = """
# !echo first command > setup.txt
# An app that shows what it was given.
#    !  echo second >> setup.txt

import os, sys
from lightning_app import LightningApp, LightningFlow

# !echo never >> setup.txt
class Root(LightningFlow):
    def run(self):
        self.stop(f"{sys.argv[1:]} {os.environ.get('COLOUR')}")

app = LightningApp(Root())
"""


@pytest.fixture(autouse=True)
def app_file(own_place: Path) -> None:
    (own_place / "app.py").write_text(APP)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["app", "app.py", "--without-server", "--open-ui", "false", "--blocking", "False"], "[] None"),
        (["app", "app.py", "--env", "COLOUR=red", "--app_args", "--a=1", "b"], "['--a=1', 'b'] red"),
        (["app", "app.py", "--app_args", "--use_gpu", "--without-server"], "['--use_gpu'] None"),
        (
            ["app", "app.py", "--app_args", "-x", "1", "--env=COLOUR=blue", "--open-ui=false"],
            "['-x', '1'] blue",
        ),
        (["app", "app.py", "--", "--open-ui", "true"], "['--open-ui', 'true'] None"),
        (["app.py", "--open-ui", "false", "--app_args", "--name", "x"], "['--name', 'x'] None"),
    ],
)
def test_the_options_of_lightning_are_taken_and_the_rest_is_of_the_app(words, printed, verb):
    done = verb("run", *words)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{printed}\n", "")


def test_options_without_effect_are_explained_in_one_line_each(verb):
    done = verb("run", "app", "app.py", "--blocking", "true", "--enable-basic-auth", "a:b")

    assert done.returncode == 0
    assert sorted(done.stderr.splitlines()) == [
        "--blocking has no effect: the app begins at once.",
        "--enable-basic-auth has no effect: it has no server that needs it.",
    ]


def test_open_ui_serves_the_page_where_its_packages_are_installed(verb):
    served = verb("run", "app", "app.py", "--open-ui", "true")
    assert (served.returncode, served.stdout) == (0, "[] None\n")
    assert served.stderr.startswith("The page of this run: http://127.0.0.1:")

    for option in ("--no-ui", "--without-server"):
        assert verb("run", "app", "app.py", "--open-ui", "true", option).stderr == "", option


def test_open_ui_says_what_to_install_where_they_are_not(own_place, monkeypatch):
    Path("blocker").mkdir()
    Path("blocker/sitecustomize.py").write_text("import sys\nsys.modules['uvicorn'] = None\n")
    monkeypatch.setenv("PYTHONPATH", "blocker")
    done = run_verb("run", "app", "app.py", "--open-ui", "true")

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "[] None\n",
        "--open-ui has no effect: the page needs uvicorn, which is not installed: "
        "pip install 'lightning-lite-apps[ui]'\n",
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--cloud"], "--cloud: there is no cloud"),
        (["--cluster-id", "x"], "--cluster-id: there is no cloud"),
        (["--no-cache"], "--no-cache: caching is a property of apps in the cloud"),
        (["--secret", "a=b"], "--secret: secrets of the cloud are not known here"),
        (["--open-ui", "perhaps"], "'perhaps' is not a valid boolean"),
    ],
)
def test_options_that_need_the_cloud_are_refused(capfd, words, complaint):
    is_refused(call(capfd, "run", "app", "app.py", *words), 2, complaint)


def test_a_file_with_the_name_app_is_a_file(verb):
    os.rename("app.py", "app")

    assert verb("run", "app", "--open-ui", "false").stdout == "[] None\n"


def test_app_without_a_file_is_refused(capfd):
    is_refused(call(capfd, "run", "app"), 2, "'app' does not exist")


def test_setup_executes_the_commands_at_the_top_of_the_file_first_and_without_it_none_is_executed(verb):
    done = verb("run", "app", "app.py")

    assert (done.returncode, done.stdout, done.stderr) == (0, "[] None\n", "")
    assert not Path("setup.txt").exists()
    for option in ("--setup", "-s"):
        done = verb("run", "app", "app.py", option)
        assert (done.returncode, done.stdout) == (0, "[] None\n"), option
        assert Path("setup.txt").read_text() == "first command\nsecond\n", option
        Path("setup.txt").unlink()


def test_a_failed_command_of_setup_ends_the_command_line_before_the_app_runs(verb):
    Path("app.py").write_text("# a comment\n# !exit 3\n" + APP)

    done = verb("run", "app", "app.py", "--setup")

    assert (done.returncode, done.stdout) == (1, "")
    assert "There was a problem on line 2 of app.py while executing the command: exit 3." in done.stderr
    assert not Path("setup.txt").exists()


def test_a_resumed_run_has_the_same_options():
    Path("app.py").write_text(
        APP.replace("self.stop(", "os.path.exists('fixed') or self.fail('not yet')\n        self.stop(")
    )
    words = ["app", "app.py", "--open-ui", "false", "--app_args", "--a", "--without-server"]
    assert run_verb("run", *words).returncode == 1
    Path("fixed").touch()

    done = run_verb("resume")

    assert (done.returncode, done.stdout) == (0, "['--a'] None\n")
