import errno
import json
import os
import pwd
import re
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import lightning_lite
from lightning_lite.errors import RunnerError
from lightning_lite.runs import folder
from lightning_lite.runs.folder import RunFolder

from tests.support.odd_files import PRECIOUS, put


def details(run):
    return json.loads(Path(run.path, "run.json").read_text("ascii"))


def test_run_json_has_app_command_user_time_and_versions(tmp_path):
    run = RunFolder.create(str(tmp_path / "root"), app="Training", command=["python", "train.py", "é"])

    recorded = details(run)
    assert recorded["id"] == run.id == os.path.basename(run.path)
    assert recorded["app"] == "Training"
    assert recorded["state"] == "running"
    assert recorded["ended"] is None
    assert recorded["command"] == ["python", "train.py", "é"]
    assert recorded["cwd"] == os.getcwd()
    assert recorded["user"] == pwd.getpwuid(os.getuid()).pw_name  # after `su`, $USER may name another one
    assert recorded["pid"] == os.getpid()
    assert recorded["python"] == sys.version.split()[0]
    assert recorded["lightning_lite"] == lightning_lite.__version__
    assert datetime.now().astimezone() - datetime.fromisoformat(recorded["started"]) < timedelta(minutes=1)


@pytest.mark.parametrize("state", ["stopped", "failed", "interrupted"])
def test_the_end_of_a_run_is_recorded(tmp_path, state):
    run = RunFolder.create(str(tmp_path), app="a")
    before = details(run)

    run.note_end(state)

    after = details(run)
    assert after["state"] == state
    assert after["ended"] >= before["started"]
    assert after == before | {"state": state, "ended": after["ended"]}
    assert sorted(os.listdir(run.path)) == ["logs", "run.json"]


def test_only_its_user_can_read_a_run(tmp_path):
    before = os.umask(0)
    try:
        run = RunFolder.create(str(tmp_path / "not" / "there" / "yet"), app="a")
    finally:
        os.umask(before)

    root = tmp_path / "not" / "there" / "yet"
    folders = [root, root / "runs", run.path, run.logs]
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in folders] == [0o700] * 4
    assert stat.S_IMODE(os.stat(os.path.join(run.path, "run.json")).st_mode) == 0o600


def test_ids_of_runs_sort_by_time_and_are_unique(tmp_path, monkeypatch):
    moments = iter([1_700_000_000.0, 1_700_000_000.0015, 1_700_000_000.0015, 1_800_000_000.0])
    monkeypatch.setattr(folder.time, "time", lambda: next(moments))
    random_bytes = iter([b"aaa", b"aaa", b"aaa", b"bbb", b"aaa"])  # the third run has the id of the second
    monkeypatch.setattr(folder.os, "urandom", lambda size: next(random_bytes))

    names = [RunFolder.create(str(tmp_path), app="a").id for _ in range(4)]

    assert names == sorted(set(names))
    assert names[0] == "20231114-221320000-616161"
    assert all(re.fullmatch(r"\d{8}-\d{9}-[0-9a-f]{6}", name) for name in names)


def test_a_reader_of_run_json_never_sees_a_part_of_it(tmp_path):
    run = RunFolder.create(str(tmp_path), app="a" * 100_000)
    program = (
        "import json, sys\n"
        "sys.stdout.write('ready'); sys.stdout.flush()\n"
        f"while json.load(open({os.path.join(run.path, 'run.json')!r}))['state'] != 'failed': pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as reader:
        assert reader.stdout.read(5) == b"ready"
        for _ in range(200):
            run.note_end("stopped")
        run.note_end("failed")

    assert reader.returncode == 0


@pytest.mark.parametrize(
    "kind", ["an empty file", "a FIFO", "a link to a file", "a dangling link", "a huge file"]
)
def test_a_file_of_a_process_that_died_in_a_write_prevents_no_later_one(tmp_path, kind):
    run = RunFolder.create(str(tmp_path), app="a")
    put(kind, Path(run.path, "run.json.new"))

    run.note_end("stopped")

    assert details(run)["state"] == "stopped"
    assert not os.path.lexists(os.path.join(run.path, "run.json.new"))
    assert all(path.read_text() == PRECIOUS for path in Path(run.path).glob("*.precious"))


def test_a_root_that_is_a_file_is_refused_by_name(tmp_path):
    root = tmp_path / "file"
    root.write_text("mine")

    with pytest.raises(RunnerError, match=r"can't write to its root folder '.*/file': .*root_dir="):
        RunFolder.create(str(root), app="a")

    assert root.read_text() == "mine"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_root_that_can_not_be_written_is_refused_with_the_reason(tmp_path, monkeypatch, number):
    def refuse(path, mode=0o777):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(folder.os, "mkdir", refuse)

    with pytest.raises(RunnerError, match=os.strerror(number)) as raised:
        RunFolder.create(str(tmp_path), app="a")

    assert raised.value.root == str(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_user_without_a_name_is_recorded_by_number(monkeypatch, tmp_path):
    def has_no_name(uid):
        raise KeyError(uid)

    monkeypatch.setattr(folder.pwd, "getpwuid", has_no_name)

    assert details(RunFolder.create(str(tmp_path), app="a"))["user"] == str(os.getuid())
