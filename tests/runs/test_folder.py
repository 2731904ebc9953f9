import errno
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import lightning_lite
from lightning_lite.errors import JournalError, RunnerError, ValueFileError
from lightning_lite.runs import folder
from lightning_lite.runs.folder import RunFolder
from lightning_lite.runs.journal import Journal
from lightning_lite.values.pickling import pack

from tests.storage.mounts import mount_small_disk
from tests.support.odd_files import PRECIOUS, put
from tests.support.run_folders import new_run
from tests.support.users import User, act_as, needs_users


def details(run):
    return json.loads(Path(run.path, "run.json").read_text("ascii"))


def test_run_json_has_app_command_user_time_and_versions(tmp_path):
    run = new_run(str(tmp_path / "root"), app="Training", command=["python", "train.py", "é"])

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
    run = new_run(str(tmp_path), app="a")
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
        run = new_run(str(tmp_path / "not" / "there" / "yet"), app="a")
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

    names = [new_run(str(tmp_path), app="a").id for _ in range(4)]

    assert names == sorted(set(names))
    assert names[0] == "20231114-221320000-616161"
    assert all(re.fullmatch(r"\d{8}-\d{9}-[0-9a-f]{6}", name) for name in names)


def test_a_reader_of_run_json_never_sees_a_part_of_it(tmp_path):
    run = new_run(str(tmp_path), app="a" * 100_000)
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
    run = new_run(str(tmp_path), app="a")
    put(kind, Path(run.path, "run.json.new"))

    run.note_end("stopped")

    assert details(run)["state"] == "stopped"
    assert not os.path.lexists(os.path.join(run.path, "run.json.new"))
    assert all(path.read_text() == PRECIOUS for path in Path(run.path).glob("*.precious"))


def test_a_root_that_is_a_file_is_refused_by_name(tmp_path):
    root = tmp_path / "file"
    root.write_text("mine")

    with pytest.raises(RunnerError, match=r"can't write to its root folder '.*/file': .*root_dir="):
        new_run(str(root), app="a")

    assert root.read_text() == "mine"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_root_that_can_not_be_written_is_refused_with_the_reason(tmp_path, monkeypatch, number):
    def refuse(path, mode=0o777):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(folder.os, "mkdir", refuse)

    with pytest.raises(RunnerError, match=os.strerror(number)) as raised:
        new_run(str(tmp_path), app="a")

    assert raised.value.root == str(tmp_path)
    assert "\n" not in str(raised.value)


def on_a_small_disk(job: Callable[[str], None]) -> None:
    """Call a function with a folder that is a disk of 128 KiB, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:

        def mount_and_call() -> None:
            mount_small_disk(folder)
            job(folder)

        assert act_as(User(0), mount_and_call) is None


@contextmanager
def filled(folder: str) -> Iterator[None]:
    """Fill a disk for the `with` block."""
    with suppress(OSError), open(f"{folder}/filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    yield
    os.unlink(f"{folder}/filler")


def is_named(error: Exception, file: str) -> None:
    """Assert that an error names a file on a full disk, and says what to do."""
    assert file in str(error)
    assert "No space left on device" in str(error)
    assert "free some space on its disk" in str(error)
    assert "None" not in str(error)
    assert "\n" not in str(error)


@needs_users
def test_a_run_that_can_not_begin_on_a_full_disk_names_the_file_and_leaves_nothing():
    def job(disk: str) -> None:
        with filled(disk), pytest.raises(RunnerError) as caught:
            new_run(f"{disk}/root", app="a" * 5000)
        is_named(caught.value, "/run.json)")
        assert str(caught.value).endswith("or set another one with root_dir= or LIGHTNING_LITE_ROOT")
        assert os.listdir(f"{disk}/root/runs") == []
        new_run(f"{disk}/root", app="a")

    on_a_small_disk(job)


@needs_users
def test_a_run_that_can_not_be_resumed_on_a_full_disk_names_the_file_and_is_resumed_later():
    def job(disk: str) -> None:
        run = new_run(f"{disk}/root", app="a" * 5000)
        Journal.create(run.path, "app").close()
        run.note_begin()
        os.unlink(f"{run.path}/journal.lock")
        with filled(disk):
            with pytest.raises(RunnerError) as caught:
                RunFolder.reopen(run.path)
            is_named(caught.value, f"'{run.path}/run.json': No space")
            assert "restore" not in str(caught.value)
            with pytest.raises(RunnerError) as caught:
                run.note_end("failed")
            is_named(caught.value, run.path)
            with pytest.raises(JournalError) as refused:
                Journal.open(run.path, "app")
            is_named(refused.value, f"{run.path}/journal.lock")
        assert sorted(os.listdir(run.path)) == ["journal.lock", "journal.log", "logs", "run.json"]

        journal = Journal.open(run.path, "app")
        with filled(disk):
            with pytest.raises(JournalError) as refused:
                journal.write(bytes(8192))
            is_named(refused.value, f"the journal '{run.path}/journal.log'")
            with pytest.raises(JournalError) as refused:
                journal.keep_value(bytes(8192))
            is_named(refused.value, f"{run.path}/values/")
            assert os.listdir(f"{run.path}/values") == []
            with pytest.raises(ValueFileError) as too_big:
                pack(bytearray(2_000_000), folder=f"{run.path}/values")
            is_named(too_big.value, f"{run.path}/values")
        assert details(RunFolder.reopen(run.path))["state"] == "running"
        journal.close()

    on_a_small_disk(job)


def test_a_user_without_a_name_is_recorded_by_number(monkeypatch, tmp_path):
    def has_no_name(uid):
        raise KeyError(uid)

    monkeypatch.setattr(folder.pwd, "getpwuid", has_no_name)

    assert details(new_run(str(tmp_path), app="a"))["user"] == str(os.getuid())
