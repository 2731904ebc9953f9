"""A secret reaches works, and its text is in no file of the root, no output and no command line."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from secret_work import Reveal

from lightning_lite import LightningApp, LightningFlow, LightningWork, Secret
from lightning_lite.errors import SecretError, WorkFailed
from lightning_lite.runs.catalog import read_runs

from tests.cli.verbs import call
from tests.support.flows import run_steps
from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import run_python

SCRIPT = Path(__file__).with_name("secret_app.py")

#: With quotes, a backslash and a letter that is not ASCII: `repr` and JSON write it in another way.
TEXT = "sk-4f\"9q'\\Zé-7c1d88e2"


def digest(text: str) -> str:
    """Return the answer of a work of `secret_app` for a secret."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def start(
    forked_scripts: ForkedScripts, *arguments: str, text: str = TEXT
) -> subprocess.CompletedProcess[str]:
    """Run `secret_app` in this folder, as a user does, with the secret in a file and in the environment."""
    Path("text").write_text(text)
    return forked_scripts.run_to_end(SCRIPT, *arguments, env={**os.environ, "THE_KEY": text})


def assert_not_in(text: str, what: str, data: bytes) -> None:
    """Assert that no large part of a secret is in the data, in none of the usual forms."""
    for part in (text[:9], text[-9:]):
        for form in {part, repr(part)[1:-1], ascii(part)[1:-1]}:
            place = data.find(form.encode())
            assert place < 0, (what, data[max(0, place - 80) : place + 80])


def assert_root_has_no(text: str) -> int:
    """Assert that a secret is in no file below the root; return the number of files."""
    files = [path for path in Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("*") if path.is_file()]
    for path in files:
        assert_not_in(text, str(path), path.read_bytes())
        assert_not_in(text, "a file name", os.fsencode(path))
    return len(files)


def assert_verbs_show_no(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Assert that no verb that reads runs shows a secret."""
    run = read_runs(os.environ["LIGHTNING_LITE_ROOT"])[-1].id
    for words in (
        ["ps", "--json"],
        ["status", run],
        ["status", run, "--json"],
        ["logs", run],
        ["timeline", run],
    ):
        shown = call(capfd, *words)
        assert_not_in(text, words[0], (shown.out + shown.err).encode())
        assert shown.code in (0, 1)


@pytest.mark.parametrize(
    ("runner", "start_method"), [("processes", "spawn"), ("processes", "forkserver"), ("inline", "spawn")]
)
def test_a_secret_is_nowhere_after_calls_failures_retries_a_crash_a_kill_and_a_resume(
    forked_scripts: ForkedScripts, runner: str, start_method: str, capfd: pytest.CaptureFixture[str]
):
    first = start(forked_scripts, runner, start_method, "dies")
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert "before the kill" in first.stdout, first.stderr
    second = start(forked_scripts, runner, start_method, "resumes")
    assert second.returncode == 0, second.stderr

    # The works' lines come from another thread, so they may follow those of the flow.
    (found,) = {line for line in second.stdout.splitlines() if line.startswith("[")}
    found = found.replace(f"'{digest(TEXT)}'", "ok")
    ran = Path("ran").read_text().splitlines()
    in_processes = "(ok, ok), None, " if runner == "processes" else ""
    assert found == f"[ok, ok, ok, ok, ok, ok, [], ok, None, None, ok, ok, {in_processes}ok]"
    assert ran.count("fail once") == 2  # a retry in the first process, and no call again in the second
    assert ran.count("plain") == ran.count("big") == ran.count("raise") == ran.count("after the kill") == 1
    assert assert_root_has_no(TEXT) > 5
    for done in (first, second):
        assert_not_in(TEXT, "the output", (done.stdout + done.stderr).encode())
    assert "print: **********\n" in first.stdout + first.stderr
    assert "holds a Secret. Answers are stored" in first.stderr
    assert_verbs_show_no(TEXT, capfd)


@pytest.mark.parametrize(
    ("text", "runner"),
    [
        ("-----BEGIN KEY-----\nabcdefgh12345678\nijklmnop90\n-----END KEY-----\n", "processes"),
        ("a b&c=d/%e" * 40, "inline"),
        ("zq9zq9", "inline"),
    ],
)
def test_other_texts_are_nowhere_either(forked_scripts: ForkedScripts, text: str, runner: str):
    done = start(forked_scripts, runner, "spawn", "new", text=text)

    assert done.returncode == 0, done.stderr
    assert digest(text) in done.stdout
    shown = (done.stdout + done.stderr).encode()
    for line in text.splitlines():
        assert line.encode() not in shown
        for path in Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("*"):
            assert path.is_dir() or line.encode() not in path.read_bytes(), path


class One(LightningFlow):
    """Makes one call, and keeps its answer."""

    def __init__(self, work, *args, **kwargs):
        super().__init__()
        self.work = work
        self._call = args, kwargs
        self.answer = None

    def run(self):
        args, kwargs = self._call
        self.answer = self.work.run(*args, **kwargs)
        self.stop()


RUNNERS = pytest.mark.parametrize("runner", ["processes", "inline"])


@RUNNERS
def test_a_variable_that_is_not_set_fails_the_call_that_reads_it(runner: str):
    app = LightningApp(One(Reveal(), Secret.from_env("NEVER_SET")))

    with pytest.raises(SecretError, match="The environment variable 'NEVER_SET' is not set"):
        app.run(runner=runner)


def test_an_environment_with_a_variable_that_is_not_set_is_refused_before_a_process_starts():
    app = LightningApp(One(Reveal(env={"KEY": Secret.from_env("NEVER_SET")}), env="KEY"))

    with pytest.raises(
        SecretError, match=r"root\.work: env 'KEY': The environment variable 'NEVER_SET' is not"
    ):
        app.run()


def test_a_variable_that_is_set_for_one_work_is_read_and_masked_there(capfd: pytest.CaptureFixture[str]):
    class Show(LightningWork):
        def run(self, secret):
            print("it is", secret.reveal())  # noqa: T201 - the test reads the output
            return len(secret.reveal())

    flow = One(Show(env={"ONLY_HERE": "text-only-here"}), Secret.from_env("ONLY_HERE"))

    LightningApp(flow).run(view=False)

    assert flow.answer == 14
    shown = "".join(capfd.readouterr())
    assert "it is **********" in shown
    assert "text-only-here" not in shown


def test_a_secret_reaches_a_work_as_an_attribute_or_in_the_environment():
    secret = Secret("in-an-attribute")

    def steps(flow):
        return flow.attribute.run(), flow.environment.run(env="KEY")

    root = run_steps(steps, attribute=Reveal(secret), environment=Reveal(env={"KEY": secret}))

    assert root._answer == ("etubirtta-na-ni", "etubirtta-na-ni")


def test_lines_stay_whole_wherever_the_pipe_cuts_a_secret():
    class Print(LightningWork):
        def run(self, secret):
            for number in range(4000):
                print("-" * (number % 61), secret.reveal(), number)  # noqa: T201 - the test reads the log

    LightningApp(One(Print(), Secret("cut-by-the-pipe-" * 3))).run(view=False)

    (log,) = Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("root.work.log")
    assert log.read_text().splitlines() == [
        f"{'-' * (number % 61)} ********** {number}" for number in range(4000)
    ]


@pytest.mark.parametrize("text", ["s3cr3t-key\n", "\ns3cr3t-key", "\r\n s3cr3t-key \r\n"], ids=repr)
def test_the_newlines_of_a_text_are_not_taken_out_of_the_output(text: str):
    class Prints(LightningWork):
        def run(self, secret):
            print("the key is", secret.reveal().strip())  # noqa: T201 - the test reads the log
            print("row number 2")  # noqa: T201
            print(repr(secret.reveal()))  # noqa: T201

    LightningApp(One(Prints(), Secret(text))).run(view=False)

    (log,) = Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("root.work.log")
    escaped = repr(text).replace("s3cr3t-key", "**********")
    assert log.read_text().splitlines() == ["the key is **********", "row number 2", escaped]


def test_a_secret_in_the_setup_of_all_works_has_its_text():
    secret = Secret("for-the-setup")

    def set_up():
        os.environ["SET_UP"] = secret.reveal()

    flow = One(Reveal(), env="SET_UP")

    LightningApp(flow, setup=set_up).run()

    assert flow.answer == "putes-eht-rof"


@RUNNERS
@pytest.mark.parametrize("size", [1, 2_000_000])
def test_an_answer_with_a_secret_is_refused(runner: str, size: int):
    class Answer(LightningWork):
        def run(self, secret):
            return [b"x" * size, {"key": secret}]

    app = LightningApp(One(Answer(), Secret("must-not-return")))

    with pytest.raises(WorkFailed, match=r"run\(\) returned a value that holds a Secret") as failed:
        app.run(runner=runner)

    assert failed.value.reason == "invalid_value"
    assert "must-not-return" not in str(failed.value)
    assert_root_has_no("must-not-return")
    assert not [*Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("*.val")]


@RUNNERS
def test_an_answer_with_the_name_of_a_variable_is_no_secret(runner: str, monkeypatch: pytest.MonkeyPatch):
    class Answer(LightningWork):
        def run(self):
            return [Secret.from_env("SOME_NAME")]

    flow = One(Answer())
    flow.work._seen = None

    class Root(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work, self.length = Answer(), 0

        def run(self):
            (secret,) = self.work.run()
            self.length = len(secret.reveal())
            self.stop()

    monkeypatch.setenv("SOME_NAME", "its-value")
    root = Root()

    LightningApp(root).run(runner=runner)

    assert root.length == 9


@RUNNERS
def test_the_exception_of_a_work_is_of_its_own_class_without_the_text(runner: str):
    class Login(LightningWork):
        def run(self, secret):
            error = PermissionError(13, f"no access with {secret.reveal()}", secret.reveal())
            error.add_note(f"note {secret.reveal()}")
            raise error

    app = LightningApp(One(Login(), Secret("sk-55e1-oops-7f20")))

    with pytest.raises(PermissionError) as raised:
        app.run(runner=runner)

    shown = [*raised.value.args, raised.value.filename, *raised.value.__notes__, raised.value.__cause__]
    assert "sk-55e1-oops-7f20" not in " ".join(map(str, shown))
    assert raised.value.errno == 13
    assert raised.value.filename == "*" * 17
    assert_root_has_no("sk-55e1-oops-7f20")


def test_an_error_of_the_flow_is_masked_in_the_run():
    class Root(LightningFlow):
        def run(self):
            raise ValueError(f"bad {Secret('in-the-flow-error').reveal()}")

    with pytest.raises(ValueError, match="bad"):
        LightningApp(Root()).run()

    (run,) = read_runs(os.environ["LIGHTNING_LITE_ROOT"])
    assert run.details["error"] == "ValueError: bad **********"


@RUNNERS
def test_a_secret_that_a_work_makes_is_masked_in_its_failure(runner: str):
    class Make(LightningWork):
        def run(self):
            key = Secret("-".join(["sk", "made", "there", "e901"]))
            raise ValueError(f"refused {key.reveal()}")

    with pytest.raises(ValueError, match=r"refused \*{18}\n"):
        LightningApp(One(Make())).run(runner=runner)

    assert_root_has_no("sk-made-there-e901")


def test_an_argument_that_no_secret_changes_has_the_same_key_as_before(forked_scripts: ForkedScripts):
    script = Path("app.py").absolute()
    script.write_text(
        "from lightning_lite import LightningApp, LightningFlow, LightningWork, Secret\n"
        "TEXT = open('text').read()\nclass Work(LightningWork):\n"
        "    def run(self, key):\n        open('ran', 'a').write(key.reveal() + ' ')\n        return 1\n"
        "class Root(LightningFlow):\n"
        "    def __init__(self):\n        super().__init__()\n        self.work = Work()\n"
        "    def run(self):\n        self.work.run(Secret(TEXT))\n        1 / 0\n"
        "LightningApp(Root()).run(resume=True)\n"
    )
    for text in ("first-key-1", "first-key-1", "second-key-2"):
        Path("text").write_text(text)
        done = forked_scripts.run_to_end(script)
        assert "ZeroDivisionError" in done.stderr

    assert Path("ran").read_text() == "first-key-1 second-key-2 "


# Command lines.

SHOWS_ARGUMENTS = """
import sys
from lightning_lite import LightningApp, LightningFlow, Secret
class Root(LightningFlow):
    def run(self):
        1 / 0
if "--register" in sys.argv:
    Secret(sys.argv[sys.argv.index("--register") + 1])
LightningApp(Root()).run()
"""


def test_a_masked_command_is_shown_and_not_started_again(capfd: pytest.CaptureFixture[str]):
    arguments = [
        *("--password", "hidden-word-1"),
        *("--rate", "1", "--hf_token=hidden-word-2"),
        "postgres://me:hidden-word-3@host/db",
        *("--register", "hidden-word-4"),
    ]
    Path("app.py").write_text(SHOWS_ARGUMENTS)
    done = run_python("app.py", *arguments)
    assert "ZeroDivisionError" in done.stderr
    (run,) = read_runs(os.environ["LIGHTNING_LITE_ROOT"])

    for number in range(1, 5):
        assert_root_has_no(f"hidden-word-{number}")
    assert call(capfd, "ps", "--json").data[0]["command"][-8:] == [
        *("--password", "**********"),
        *("--rate", "1", "--hf_token=**********"),
        "postgres://me:**********@host/db",
        *("--register", "**********"),
    ]
    refused = call(capfd, "resume", run.id)
    assert refused.code == 2
    assert (
        f"run {run.id} can't be resumed here: passwords or keys in its command were not stored" in refused.err
    )
    assert "hidden-word" not in refused.err


CAUGHT_A_FAILURE = """
import sys
from lightning_lite import LightningApp, LightningFlow, LightningWork
class Work(LightningWork):
    def run(self):
        open("ran", "a").write("x")
        raise ValueError("not yet")
class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work(raise_exception=False)
    def run(self):
        self.work.run()
        if self.work.has_failed:
            1 / 0
LightningApp(Root()).run()
"""


def test_the_command_in_the_refusal_resumes_the_run_and_retries_what_was_asked(
    capfd: pytest.CaptureFixture[str],
):
    Path("app.py").write_text(CAUGHT_A_FAILURE)
    first = run_python("app.py", "--password", "hidden-word-1")
    assert "ZeroDivisionError" in first.stderr
    (run,) = read_runs(os.environ["LIGHTNING_LITE_ROOT"])

    for options, ran in ([], "x"), (["--retry-failed"], "xx"):
        refused = call(capfd, "resume", run.id, *options)
        (command,) = re.findall(r"in place of \*{10}: (cd .*)", refused.err)
        shell = command.replace("'**********'", "hidden-word-1")
        again = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)

        assert f"Run {run.id} is resumed" in again.stderr, (command, again.stderr)
        assert Path("ran").read_text() == ran, command
        assert_root_has_no("hidden-word-1")
