"""`lightning-lite drive`, `doctor` and `clean` with drives on an object store."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from lightning_lite.cli.checks import self_test
from lightning_lite.cli.checks.result import Finding
from lightning_lite.cli.drives.arguments import DriveName, PathInDrive
from lightning_lite.storage import Drive
from lightning_lite.storage.object_store import sweep
from lightning_lite.storage.stores import drive_names

from tests.cli.verbs import Output, call, is_refused
from tests.support.files import write
from tests.support.object_stores import KEYS, ObjectServer
from tests.support.pages import PROJECT
from tests.support.ports import closed_port
from tests.support.processes import run_python, run_verb

pytestmark = pytest.mark.dependencies


@pytest.fixture
def verb(capfd: pytest.CaptureFixture[str]):
    """Call a verb."""

    def verb(*words: object) -> Output:
        output = call(capfd, *words)
        assert not any(secret in output.out + output.err for secret in KEYS.values())
        return output

    return verb


def test_all_verbs_of_drives_work_by_option_and_by_variable(
    verb, remote_place: str, monkeypatch: pytest.MonkeyPatch
):
    write("a.txt", "text")
    write("fol/in/b.txt", "more")
    monkeypatch.delenv("LIGHTNING_LITE_DRIVES")

    assert verb("drive", "put", "--drives", remote_place, "m", "a.txt", "fol").code == 0
    assert verb("drive", "ls", "--root", remote_place).out == "m\n"
    assert not Path(os.environ["LIGHTNING_LITE_ROOT"]).exists()
    monkeypatch.setenv("LIGHTNING_LITE_DRIVES", remote_place)
    assert verb("drive", "ls", "m", "-R").out == "a.txt\nfol/in/b.txt\n"
    (listed,) = verb("drive", "ls", "--json").data
    assert (listed["id"], listed["size"], listed["files"], listed["owners"]) == ("lit://m", 8, 2, ["main"])
    assert "└── in/" in verb("drive", "tree", "m").out
    assert verb("drive", "du", "--json").data == [{"drive": "m", "size": 8, "files": 2}]
    assert verb("drive", "cat", "m", "fol/in/b.txt").out == "more"
    assert (
        verb("drive", "get", "m", "fol", "a.txt", "--to", "copy/", "--timeout", "1").out
        == "copy/fol\ncopy/a.txt\n"
    )
    assert Path("copy/fol/in/b.txt").read_text() == "more"
    assert verb("drive", "verify").out == "m: 2 files, 8 B: no findings\n"
    hashes = verb("drive", "verify", "m", "--hash").out.splitlines()
    assert hashes[0] == "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1  main/a.txt"
    assert verb("drive", "put", "m", "a.txt", "--component", "other").code == 1
    assert verb("drive", "rm", "m", "a.txt").code == 0
    assert verb("drive", "put", "m", "a.txt", "--to", "moved", "--move").code == 0
    assert not Path("a.txt").exists()
    assert verb("drive", "ls", "m").out == "fol/\nmoved\n"


def test_what_is_wrong_is_one_line(
    verb, remote_place: str, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
):
    Drive("lit://models")
    write("a.txt", "text")
    assert verb("drive", "put", "models", "a.txt").code == 0

    is_refused(
        verb("drive", "ls", "model"), 2, f"no drive 'model' in '{remote_place}'; did you mean 'models'?"
    )
    is_refused(
        verb("drive", "get", "models", "b.txt"), 2, "'b.txt' is not in the drive", "did you mean 'a.txt'?"
    )
    is_refused(
        verb("drive", "ls", "--drives", "gs://bucket"), 2, "must be the path of a folder, or a url such as"
    )
    is_refused(verb("drive", "ls", "--drives", "s3://no-such-bucket"), 1, "'no-such-bucket' does not exist")
    with closed_port() as port:
        endpoint = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        is_refused(verb("drive", "ls"), 1, f"Nothing answers at {endpoint}")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    is_refused(verb("drive", "ls"), 1, "AWS_SECRET_ACCESS_KEY is not set")


@pytest.fixture
def findings(verb, monkeypatch: pytest.MonkeyPatch):
    """Return the findings of the doctor about drives, by their subjects."""
    monkeypatch.setattr(self_test, "check", lambda folder: Finding("self-test", "fine"))

    def findings(*words: str) -> dict[str, dict[str, str]]:
        found = verb("doctor", "--json", *words).data["findings"]
        return {each["about"]: each for each in found if each["section"] == "drives"}

    return findings


def test_the_doctor_checks_the_store_and_leaves_only_its_own_note(
    findings, remote_place: str, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
):
    Drive("lit://models")

    found = findings()

    assert list(found) == ["drives", "obstore", "keys", "bucket", "conditions", "unfinished uploads"]
    assert found["drives"]["value"] == f"{remote_place}, {object_server.endpoint}"
    assert found["bucket"]["value"].startswith("0 drives, ")
    assert found["conditions"]["value"] == "yes"
    assert "AbortIncompleteMultipartUpload" in found["unfinished uploads"]["advice"]
    assert {each["state"] for each in found.values()} <= {"ok", "warning"}

    found = findings("--drives", "s3://no-such-bucket")
    assert found["bucket"]["state"] == "failure"
    assert "does not exist" in found["bucket"]["advice"]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "AWS_ACCESS_KEY_ID is not set" in findings()["bucket"]["advice"]


def test_the_doctor_checks_another_folder_of_drives(findings, tmp_path: Path):
    found = findings("--drives", str(tmp_path / "apart"))

    assert found["root"]["value"] == f"{tmp_path}/apart, does not exist yet"
    assert found["locks"]["value"] == "yes"
    assert "journal" not in found


def test_clean_deletes_what_no_drive_names_any_more(verb, remote_place: str, monkeypatch: pytest.MonkeyPatch):
    os.makedirs(f"{os.environ['LIGHTNING_LITE_ROOT']}/runs")
    big = "x" * 300_000  # small content is in the manifest
    for text in (f"{big}1", f"{big}2", f"{big}3"):
        write("a.bin", text)
        Drive("lit://m").put("a.bin")
    assert verb("clean", "--json").data == {"removed": [], "freed": 0, "objects": 0, "dry_run": False}
    monkeypatch.setattr(sweep, "MAX_AGE", -3600.0)

    assert verb("clean", "--dry-run").out == "There is nothing to remove.\n"
    assert verb("clean").out == "Deleted 2 objects that no drive names any more.\n"

    assert verb("clean").out == "There is nothing to remove.\n"
    assert Path(Drive("lit://m").get("a.bin", to="b.bin")).read_text() == f"{big}3"


def test_a_shell_completes_drives_and_paths_and_shows_no_error(
    remote_place: str, monkeypatch: pytest.MonkeyPatch
):
    write("fol/a.txt", "text")
    Drive("lit://models").put("fol")
    context = click.Context(click.Command("ls"))
    context.params = {"root": remote_place, "drive": "models"}
    parameter = click.Argument(["path"])

    assert [found.value for found in DriveName().shell_complete(context, parameter, "mo")] == ["models"]
    assert [found.value for found in PathInDrive().shell_complete(context, parameter, "fol/")] == [
        "fol/a.txt"
    ]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert DriveName().shell_complete(context, parameter, "mo") == []
    assert PathInDrive().shell_complete(context, parameter, "fol/") == []


def test_without_the_package_a_verb_names_it_in_one_line(remote_place: str):
    write("a.txt", "text")
    os.makedirs(f"{os.environ['LIGHTNING_LITE_ROOT']}/runs")
    verbs = [["drive", "ls"], ["drive", "verify"], ["clean"], ["drive", "put", "m", "a.txt"]]
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from lightning_lite.cli.main import main\n"
        f"for words in {verbs!r}:\n"
        "    try:\n"
        "        main(words)\n"
        "    except SystemExit as end:\n"
        "        print(end.code)\n"
    )

    done = run_python("-c", code)

    assert done.stdout.split() == ["1"] * len(verbs)
    for words, line in zip(verbs, done.stderr.splitlines(), strict=True):
        assert line.startswith("Error: "), words
        assert line.endswith(
            "needs obstore, which is not installed: pip install 'lightning-lite-apps[s3]'."
        ), words


def test_run_gives_the_place_to_the_app(verb, remote_place: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LIGHTNING_LITE_DRIVES")
    write(
        "app.py",
        "from lightning_lite import LightningApp\n"
        "from tests.support.sharing import Sharing\n"
        "LightningApp(Sharing()).run('inline')\n",
    )
    done = run_verb("run", "app.py", "--drives", remote_place, env={**os.environ, "PYTHONPATH": str(PROJECT)})

    assert done.returncode == 0, done.stderr
    assert drive_names(remote_place) == ["d"]
    is_refused(
        verb("run", "app.py", "--drives", "s3://"),
        2,
        "--drives must be the path of a folder, or a url such as",
    )
