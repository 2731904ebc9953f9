"""Settings: argument, environment, `pyproject.toml`, default; and the values that are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import ComponentError, SettingError
from lightning_lite.root_access import ANY, OWN
from lightning_lite.run_options import RunOptions
from lightning_lite.settings import SETTINGS, Settings, resolve_root
from lightning_lite.storage import Drive

from tests.support.files import write
from tests.support.flows import Steps, run_steps
from tests.support.odd_files import is_root
from tests.support.processes import run_python, run_script, run_verb

IN_FILE = [name for name, setting in SETTINGS.items() if setting.in_file]


def project(text: str, folder: str = ".") -> Path:
    """Write a `pyproject.toml` with a table of settings, and return its path."""
    return write(Path(folder).absolute() / "pyproject.toml", f"[tool.lightning_lite]\n{text}\n")


def test_an_argument_comes_before_the_environment_that_before_the_file_and_that_before_the_default():
    assert Settings({}).find("runner") == ("processes", "default")
    file = project("runner = 'inline'\nhistory = 5")

    assert Settings({}).find("runner") == ("inline", str(file))
    environ = {"LIGHTNING_LITE_RUNNER": "processes"}
    assert Settings(environ).find("runner") == ("processes", "LIGHTNING_LITE_RUNNER")
    assert Settings(environ).find("runner", "inline") == ("inline", "argument")
    options = RunOptions.resolve(environ=environ)
    assert (options.runner, options.history, options.start_method) == ("processes", 5, "spawn")


def test_an_empty_variable_is_as_none():
    file = project("runner = 'inline'")

    assert Settings({"LIGHTNING_LITE_RUNNER": " "}).find("runner") == ("inline", str(file))


def test_the_nearest_file_with_the_table_counts_and_only_that(monkeypatch: pytest.MonkeyPatch):
    project("runner = 'inline'\nhistory = 5")
    project("history = 6", "a")
    write("a/b/pyproject.toml", "[project]\nname = 'lightning'\n")
    monkeypatch.chdir("a/b")

    assert Settings({}).value("history") == 6
    assert Settings({}).value("runner") == "processes"


def test_a_changed_file_is_read_again():
    project("history = 5")
    assert Settings({}).value("history") == 5

    project("history = 77")

    assert Settings({}).value("history") == 77


def test_a_relative_root_refers_to_the_folder_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    project("root_dir = 'data'")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    Path("inner").mkdir()
    here = Path.cwd()
    monkeypatch.chdir("inner")

    assert resolve_root(None, {}) == str(here / "data")
    assert resolve_root("mine", {}) == str(here / "inner" / "mine")
    assert resolve_root(None, {"LIGHTNING_LITE_ROOT": "other"}) == str(here / "inner" / "other")
    project("root_dir = '~/data'", str(here))
    assert resolve_root(None, {}) == str(tmp_path / "home" / "data")


@pytest.mark.parametrize("name", IN_FILE)
@pytest.mark.parametrize("value", ["[1.5]", "[{}]"])
def test_a_wrong_value_in_the_file_is_refused_with_the_file_the_name_and_the_value(name: str, value: str):
    file = project(f"{name} = {value}")

    with pytest.raises(SettingError, match=rf"{file}: {name} in \[tool.lightning_lite\] must be .* Found "):
        RunOptions.resolve(environ={})


@pytest.mark.parametrize(
    "name", [name for name in SETTINGS if SETTINGS[name].kind not in ("folder", "place", "run", "patterns")]
)
def test_a_wrong_word_in_a_variable_is_refused_with_its_name_and_the_word(name: str):
    variable = SETTINGS[name].variable

    with pytest.raises(SettingError, match=rf"variable {variable} must be .* Found '(-1 x|\*+)'"):
        Settings({variable: "-1 x"}).find(name)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("runer = 'inline'", "can't have 'runer': there is no such setting; did you mean 'runner'?"),
        ("LIGHTNING_LITE_RUNNER = 'inline'", "did you mean 'runner'?"),
        ("xyz = 1", "can't have 'xyz': there is no such setting; `lightning-lite config` lists the settings"),
        ("resume = true", "can't have 'resume'; use the argument, or the variable LIGHTNING_LITE_RESUME."),
        (
            "[tool.lightning_lite.runner]",
            "runner in [tool.lightning_lite] must be 'processes' or 'inline' or 'ray'",
        ),
    ],
)
def test_an_unknown_name_is_refused_with_a_similar_one(line: str, hint: str):
    file = project(line)

    with pytest.raises(SettingError) as refused:
        Settings({}).value("view")

    assert str(refused.value).startswith(str(file))
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[tool.lightning_lite\n", "is not valid TOML: .*line 1"),
        ("[tool.lightning-lite]\n", r"has a table \[tool.lightning-lite\]; its name must be"),
        ("[tool.lightning-lite-apps]\n", r"its name must be \[tool.lightning_lite\]"),
        ("tool.lightning_lite = 1\n", "must be a table"),
        (f"lightning = {'[' * 5_000}\n", "is not valid TOML: .*recursion"),
        (b"name = 'lightning \xff'\n", "is not valid TOML"),
    ],
)
def test_a_file_whose_settings_are_unknown_is_refused(content: str | bytes, complaint: str):
    Path("pyproject.toml").write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(SettingError, match=complaint):
        Settings({}).value("view")


def test_a_file_can_not_switch_checks_of_a_root_off():
    project("root_mode = 'trusted'")

    with pytest.raises(SettingError, match=r"must be 'private' or 'group'. Found 'trusted'"):
        RunOptions.resolve(environ={})
    Path("pyproject.toml").unlink()
    assert RunOptions.resolve(environ={"LIGHTNING_LITE_ROOT_MODE": "trusted"}).root_mode == "trusted"


def test_a_root_that_only_a_file_names_may_not_be_the_group_root_of_another_user():
    project("root_dir = 'data'")

    assert RunOptions.resolve(environ={}).root_mode == OWN
    assert RunOptions.resolve(environ={"LIGHTNING_LITE_ROOT": "data"}).root_mode == ANY
    assert RunOptions.resolve(environ={}, root_dir="data").root_mode == ANY


def test_other_things_with_the_name_of_the_file_are_passed_over():
    project("history = 5")
    Path("a/pyproject.toml").mkdir(parents=True)
    Path("b").mkdir()
    os.mkfifo("b/pyproject.toml")
    Path("c").mkdir()
    Path("c/pyproject.toml").write_text("tool = 'lightning'\n")
    Path("d").mkdir()
    Path("d/pyproject.toml").symlink_to("nowhere")
    here = Path.cwd()

    for folder in "abcd":
        os.chdir(here / folder)
        assert Settings({}).value("history") == 5


def test_a_link_to_the_file_of_a_project_is_followed():
    project("history = 5", "shared")
    Path("pyproject.toml").symlink_to("shared/pyproject.toml")

    assert Settings({}).find("history") == (5, str(Path("pyproject.toml").absolute()))


@is_root
def test_a_file_of_another_user_counts_unless_all_users_could_have_put_it_there(own_place: Path):
    file = project("history = 5")
    os.chown(file, 12345, 12345)
    assert Settings({}).value("history") == 5

    own_place.chmod(0o1777)
    os.utime(file, (0, 0))  # another version of the file; `touch` may give it the time that it has

    assert Settings({}).find("history").origin == "default"


def test_a_number_with_thousands_of_digits_is_refused():
    with pytest.raises(SettingError, match="LIGHTNING_LITE_HISTORY must be a whole number"):
        Settings({"LIGHTNING_LITE_HISTORY": "9" * 5_000}).find("history")


@pytest.mark.parametrize("value", [7, b"runs", "a\0b"])
def test_a_root_that_is_no_path_is_refused(value: object):
    with pytest.raises(SettingError, match=r"root_dir must be the path of a folder. Found "):
        LightningApp(Ends(), root_dir=value).run("inline")  # type: ignore[arg-type]
    project(r'root_dir = "a\u0000b"')
    with pytest.raises(SettingError, match=r"root_dir in .* must be the path of a folder. Found "):
        LightningApp(Ends()).run("inline")


@pytest.mark.parametrize(
    ("name", "value"), [("view", "no"), ("retry_failed", 1), ("start_method", "fork"), ("resume", "")]
)
def test_a_wrong_argument_of_run_is_refused(name: str, value: object):
    with pytest.raises(SettingError, match=rf"{name} must be .* Found {value!r}"):
        LightningApp(Ends()).run("inline", **{name: value})


def test_a_wrong_log_level_in_the_file_is_refused_when_the_app_is_made():
    project("log_level = 'loud'")

    with pytest.raises(SettingError, match="log_level in"):
        LightningApp(Ends())
    with pytest.raises(ComponentError, match="Found loud"):
        LightningApp(Ends(), log_level="loud")


def test_a_wrong_file_is_shown_with_the_line_of_the_user_alone():
    project("max_runing = 3")

    done = run_python(
        "-c",
        "from lightning_lite import LightningApp, LightningFlow\n"
        "class Root(LightningFlow):\n"
        "    def run(self):\n"
        "        self.stop()\n"
        "LightningApp(Root())\n",
    )

    files = [line for line in done.stderr.splitlines() if line.startswith("  File ")]
    assert files == ['  File "<string>", line 5, in <module>']
    assert "did you mean 'max_running'?" in done.stderr


class Ends(LightningFlow):
    def run(self):
        self.stop()


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_works_use_the_settings_of_their_app_and_read_no_file(
    start_method: str, monkeypatch: pytest.MonkeyPatch
):
    class Elsewhere(LightningWork):
        """Puts a file into a drive, from a folder whose own file with settings is not valid."""

        def run(self, folder: str) -> tuple[str, str]:
            os.chdir(folder)
            Path("a.txt").write_text("text")
            drive = Drive("lit://shared")
            drive.put("a.txt")
            return os.environ["LIGHTNING_LITE_ROOT"], str(Settings({}).find("durable"))

    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    file = project(f"root_dir = 'data'\ndurable = true\nstart_method = '{start_method}'")
    project("runer = 1", "other")
    folder = str(Path("other").absolute())

    root = run_steps(lambda flow: flow.work.run(folder), None, work=Elsewhere())

    assert root._answer == (str(Path("data").absolute()), f"Found(value=True, origin={str(file)!r})")
    assert Path("data/drives/shared/root.work/a.txt").read_text() == "text"


@pytest.mark.parametrize(("start_method", "durable"), [("spawn", True), ("forkserver", False)])
def test_a_program_that_a_work_starts_has_durable_drives_if_its_app_has_them(
    start_method: str, durable: bool, monkeypatch: pytest.MonkeyPatch
):
    class AsksProgram(LightningWork):
        """Starts a program that says whether its drives are durable."""

        def run(self) -> str:
            code = "from lightning_lite.settings import resolve_durable; print(resolve_durable(None), end='')"
            command = [sys.executable, "-c", code]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    monkeypatch.delenv("LIGHTNING_LITE_DURABLE", raising=False)
    project(f"durable = {str(not durable).lower()}")
    root = Steps(lambda flow: flow.work.run(), work=AsksProgram())

    LightningApp(root, durable=durable).run(start_method=start_method)

    assert root._answer == str(durable)


def test_a_script_and_the_command_line_agree_on_the_root_of_the_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    project("root_dir = 'data'")
    script = write(
        "scripts/app.py",
        "from lightning_lite import LightningApp, LightningFlow\n"
        "class Root(LightningFlow):\n"
        "    def run(self):\n"
        "        self.stop()\n"
        "LightningApp(Root()).run()\n",
    )

    run_script(script.absolute())

    (run,) = Path("data/runs").iterdir()
    done = run_verb("ps", "-q")
    assert done.stdout.split() == [run.name], done.stderr


def test_a_wrong_file_ends_a_command_with_one_line():
    project("runer = 1")

    done = run_verb("config")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {Path.cwd()}/pyproject.toml: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_removed_working_directory_has_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    Path("gone").mkdir()
    monkeypatch.chdir("gone")
    Path.cwd().rmdir()

    assert Settings({}).find("history").origin == "default"
    assert sys.platform != "linux" or not os.path.exists("pyproject.toml")


def test_an_app_names_an_unknown_variable_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_START_METOD", "spawn")

    class Ends(LightningFlow):
        def run(self):
            self.stop()

    for _ in range(2):
        LightningApp(Ends()).run(runner="inline")

    said = [record.getMessage() for record in caplog.records if "is not a variable" in record.getMessage()]
    assert said == [
        "LIGHTNING_LITE_START_METOD is not a variable of lightning_lite; "
        "did you mean LIGHTNING_LITE_START_METHOD?"
    ]
