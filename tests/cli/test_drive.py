"""`lightning-lite drive`: the verbs on real drives."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import psutil
import pytest
from click.shell_completion import ShellComplete

from lightning_lite.cli.main import group
from lightning_lite.cli.verbs.drive import command
from lightning_lite.storage import Drive
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.locks import DriveLock
from lightning_lite.storage.transfer.staging import StagingFolder
from lightning_lite.testing import poll_until

from tests.cli.verbs import Output, call, is_refused
from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies

DriveVerb = Callable[..., Output]


@pytest.fixture
def drive(capfd: pytest.CaptureFixture[str]) -> DriveVerb:
    """Return a function that calls a verb of `lightning-lite drive`."""
    return lambda *words: call(capfd, "drive", *words)


@pytest.fixture
def models() -> Drive:
    """A drive with files of two components."""
    Path("weights/deep").mkdir(parents=True)
    Path("weights/empty").mkdir()
    Path("weights/a.bin").write_bytes(b"a" * 2000)
    Path("weights/deep/b.bin").write_bytes(b"bb")
    Path("notes.txt").write_text("remember\n")
    drive = Drive("lit://models")
    drive.put("weights")
    Drive("lit://models", component_name="root.train").put("notes.txt")
    return drive


def root() -> Path:
    return Path(os.environ["LIGHTNING_LITE_ROOT"])


def test_put_ls_cat_get_and_rm_of_one_file(drive: DriveVerb):
    Path("a.txt").write_text("Hello World !")

    assert drive("put", "shared", "a.txt") == (0, "", "")
    assert drive("ls", "shared") == (0, "a.txt\n", "")
    assert drive("cat", "shared", "a.txt") == (0, "Hello World !", "")
    assert drive("get", "shared", "a.txt", "--to", "b.txt") == (0, "b.txt\n", "")
    assert Path("b.txt").read_text() == "Hello World !"
    assert drive("rm", "shared", "a.txt") == (0, "", "")
    assert drive("ls", "shared") == (0, "", "")


def test_a_drive_is_named_with_or_without_its_protocol(drive: DriveVerb, models: Drive):
    assert drive("ls", "lit://models") == drive("ls", "models") == (0, "notes.txt\nweights/\n", "")


def test_without_a_drive_ls_and_du_show_all_drives(drive: DriveVerb, models: Drive):
    Drive("lit://empty").list()
    (root() / "drives" / "no drive").mkdir()

    assert drive("ls") == (0, "models\n", "")
    (found,) = drive("ls", "--json").data
    assert {key: found[key] for key in ("id", "size", "files", "owners")} == {
        "id": "lit://models",
        "size": 2011,
        "files": 3,
        "owners": ["main", "root.train"],
    }
    assert "2.0 KiB  3 " in drive("ls", "-l").out
    assert drive("du", "--json").data == [{"drive": "models", "size": 2011, "files": 3}]


def test_ls_shows_sizes_times_and_owners(drive: DriveVerb, models: Drive):
    lines = drive("ls", "models", "-l", "-R").out.splitlines()

    assert lines[0].split() == ["SIZE", "TIME", "OWNER", "PATH"]
    assert [line.split()[-2:] for line in lines[1:]] == [
        ["root.train", "notes.txt"],
        ["main", "weights/a.bin"],
        ["main", "weights/deep/b.bin"],
    ]
    assert drive("ls", "models", "--component", "main").out == "weights/\n"
    (found,) = drive("ls", "models", "weights/a.bin", "--json").data
    assert set(found) == {"path", "size", "time", "owner", "is_folder"}
    assert (found["size"], found["is_folder"]) == (2000, False)


def test_a_long_name_is_not_cut(drive: DriveVerb):
    name = "n" * 240
    Path(name).touch()
    drive("put", "shared", name)

    assert drive("ls", "shared", "-l").out.splitlines()[1].endswith(name)
    assert name in drive("tree", "shared").out


def test_patterns_and_several_paths(drive: DriveVerb, models: Drive):
    assert drive("ls", "models", "weights/*.bin", "notes.txt").out == "weights/a.bin\nnotes.txt\n"
    assert drive("get", "models", "*.txt", "weights/a*", "--to", "here/").out.splitlines() == [
        "here/notes.txt",
        "here/a.bin",
    ]
    assert drive("rm", "models", "*").code == 0  # only files of `main`
    assert models.list() == ["notes.txt"]


def test_put_stores_several_paths_in_a_folder(drive: DriveVerb, tmp_path: Path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.txt").write_text("a")
    Path("sub").mkdir()
    Path("sub/b.txt").write_text("b")

    assert drive("put", "shared", tmp_path / "far/a.txt", "../far", "sub/b.txt").code == 0
    assert drive("put", "shared", tmp_path / "far/a.txt", "sub/b.txt", "--to", "both/").code == 0
    assert drive("put", "shared", "sub", "--to", "into/").code == 0

    assert drive("ls", "shared", "-R").out.split() == [
        "a.txt", "both/a.txt", "both/b.txt", "far/a.txt", "into/sub/b.txt", "sub/b.txt",
    ]  # fmt: skip


def test_several_paths_need_a_folder(drive: DriveVerb, models: Drive, tmp_path: Path):
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    is_refused(
        drive("put", "models", "notes.txt", tmp_path / "far/a.txt", "--to", "new"), 1, "write --to 'new/'"
    )
    is_refused(drive("get", "models", "weights/*.bin", "--to", "new"), 1, "write --to 'new/'")
    same = drive("put", "models", tmp_path / "far/a.txt", tmp_path / "near/a.txt", "--to", "weights")
    is_refused(same, 1, "far/a.txt' and", "near/a.txt' have the same last name")
    assert models.list() == ["notes.txt", "weights"]
    assert not Path("new").exists()

    assert drive("put", "models", "notes.txt", tmp_path / "far/a.txt", "--to", "weights").code == 0
    assert drive("get", "models", "weights/*.txt", "--to", tmp_path).out.split() == [
        f"{tmp_path}/a.txt", f"{tmp_path}/notes.txt",
    ]  # fmt: skip
    Drive("lit://models", component_name="other").put("notes.txt", to="results")
    is_refused(
        drive("put", "models", "notes.txt", "--to", "results"), 1, "meant as a folder, write --to 'results/'"
    )


def test_put_refuses_two_files_that_get_the_same_name(drive: DriveVerb, tmp_path: Path):
    Path("a.txt").write_text("here")
    for name in ("far", "near"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)

    for first in ("a.txt", tmp_path / "far/a.txt", tmp_path / "far/*"):
        refused = drive("put", "shared", "--move", first, tmp_path / "near/a.txt")
        is_refused(refused, 1, "near/a.txt' would both be 'a.txt' in the drive; nothing was put")

    assert drive("put", "shared", "a.txt", "./a.txt", Path("a.txt").absolute()).code == 0
    assert drive("cat", "shared", "a.txt").out == "here"


def test_get_copies_to_a_path_outside_the_working_directory(drive: DriveVerb, models: Drive, tmp_path: Path):
    output = drive("get", "models", "weights", "--to", tmp_path / "out")

    assert output.out == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "deep" / "b.bin").read_bytes() == b"bb"


def test_get_into_a_dot_does_not_replace_the_folder(drive: DriveVerb, models: Drive):
    Path("elsewhere/inner").mkdir(parents=True)
    os.chdir("elsewhere")
    Path("keep").touch()

    assert drive("get", "models", "weights", "--to", ".", "--overwrite").out == "weights\n"
    assert drive("get", "models", "weights", "--to", "inner/..", "--overwrite").out == "weights\n"
    assert drive("get", "models", "notes.txt", "--to", "..").code == 0

    assert sorted(os.listdir(".")) == ["inner", "keep", "weights"]


def test_move_removes_the_source(drive: DriveVerb):
    Path("a.txt").write_text("a")

    drive("put", "shared", "a.txt", "--move")

    assert not Path("a.txt").exists()
    assert drive("cat", "shared", "a.txt").out == "a"


def test_get_replaces_an_existing_folder_only_with_overwrite(drive: DriveVerb, models: Drive):
    is_refused(
        drive("get", "models", "weights"),
        1,
        "Add --overwrite to replace it, or pass --to PATH with a '/' at its end",
    )
    assert drive("get", "models", "weights", "--overwrite") == (0, "weights\n", "")


def test_get_waits_for_a_missing_file(drive: DriveVerb):
    output = drive("get", "shared", "never.txt", "--timeout", "0.01")

    is_refused(output, 1, "never.txt", "0.01 s;")


@pytest.mark.parametrize("seconds", ["-1", "-inf", "nan", "soon"])
def test_get_refuses_a_timeout_that_is_no_time_to_wait(drive: DriveVerb, models: Drive, seconds: str):
    output = drive("get", "models", "notes.txt", "--to", "copy.txt", "--timeout", seconds)

    assert output.code == 2
    assert "Invalid value for '--timeout'" in output.err
    assert not Path("copy.txt").exists()


def test_ctrl_c_ends_a_get_that_waits():
    get = [sys.executable, "-m", "lightning_lite", "drive", "get", "shared", "never.txt", "--timeout", "600"]

    with subprocess.Popen(get, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        poll_until((root() / "drives/shared/.lightning_lite/aside").exists, DEADLINE)
        # Before it waits, it imports `ctypes`. Python may ignore a Ctrl-C in an import, with a traceback.
        poll_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING, DEADLINE)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert b"Traceback" not in process.stdout.read()
    assert process.returncode == 130


def test_put_and_rm_act_as_a_component(drive: DriveVerb, models: Drive):
    Path("notes.txt").write_text("other")
    is_refused(drive("rm", "models", "notes.txt"), 1, "root.train", "--component root.train")
    is_refused(
        drive("put", "models", "notes.txt"), 1, "root.train", "--component root.train", "--allow-duplicates"
    )

    assert drive("put", "models", "notes.txt", "--allow-duplicates").code == 0
    is_refused(drive("cat", "models", "notes.txt"), 1, "--component NAME")
    assert drive("cat", "models", "notes.txt", "--component", "main").out == "other"
    assert drive("rm", "models", "notes.txt", "--component", "root.train").code == 0
    assert drive("cat", "models", "notes.txt").out == "other"


def test_a_link_out_of_the_folder_needs_an_option(drive: DriveVerb, tmp_path: Path):
    (tmp_path / "secret").write_text("s")
    Path("link").symlink_to(tmp_path / "secret")

    is_refused(drive("put", "shared", "link"), 1, "--follow-symlinks")
    assert drive("put", "shared", "link", "--follow-symlinks").code == 0


def test_a_name_that_is_not_portable_needs_an_option_only_for_put(drive: DriveVerb):
    Path("a:b").write_text("x")

    is_refused(drive("put", "shared", "a:b"), 1, "--any-names")
    assert drive("put", "shared", "a:b", "--any-names").code == 0
    assert drive("cat", "shared", "a:b").out == "x"
    assert drive("rm", "shared", "a:b").code == 0


def test_tree_shows_files_and_empty_folders(drive: DriveVerb, models: Drive):
    assert drive("tree", "models").out.splitlines() == [
        "lit://models",
        "├── notes.txt",
        "└── weights/",
        "    ├── a.bin",
        "    ├── deep/",
        "    │   └── b.bin",
        "    └── empty/",
    ]
    assert "├── a.bin  (2.0 KiB, main)" in drive("tree", "models", "weights", "-l").out
    data = drive("tree", "models", "--json").data
    assert [entry["path"] for entry in data["entries"]] == ["notes.txt", "weights"]
    assert [entry["path"] for entry in data["entries"][1]["entries"]][-1] == "weights/empty"


def test_du_counts_bytes_and_files(drive: DriveVerb, models: Drive):
    assert drive("du", "models", "--json").data == [
        {"path": "notes.txt", "size": 9, "files": 1},
        {"path": "weights", "size": 2002, "files": 2},
    ]
    assert drive("du", "models").out.splitlines()[-1].split() == ["2.0", "KiB", "3", "total"]


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("ls", "modles"), 2, ("'modles'", "did you mean 'models'?")),
        (("ls", "quite other"), 2, ("'lit://quite other'",)),
        (("cat", "../models", "x"), 2, ("'/'",)),
        (("ls", "models", "weihgts"), 2, ("'weihgts'", "did you mean 'weights'?")),
        (("ls", "models", "*.nothing"), 2, ("'*.nothing'",)),
        (("cat", "models", "weights"), 1, ("is a folder",)),
        (("cat", "models", "../../etc/passwd"), 1, ("'..' is not allowed",)),
        (("get", "models", "weights/.lightning_lite"), 1, ("reserved",)),
        (("put", "models", "nothing"), 2, ("nothing' doesn't exist",)),
        (("get", "models", "weihgts"), 2, ("'weihgts'", "did you mean 'weights'?")),
        (("cat", "models", "weights/c.bin"), 2, ("'weights/c.bin'",)),
        (("rm", "models", "nothing"), 2, ("'nothing'",)),
        (("rm", "models", "."), 1, ("name a file or a folder",)),
        (("ls", "--root", "nowhere"), 2, ("nowhere", "--root")),
        (("verify", "modles"), 2, ("did you mean 'models'?",)),
        (("get", "models"), 2, ("PATH",)),
        (("get", "models", "notes.txt", "."), 2, ("'.'", "--to .")),
        (("get", "models", "notes.txt", "./"), 2, ("'./'", "--to ./")),
        (("get", "models", "notes.txt", ".."), 2, ("'..'", "--to ..")),
        (("get", "models", "notes.txt", "/data/"), 2, ("'/data/'", "--to /data/")),
        (("get", "models/notes.txt"), 2, ("'models/notes.txt'", "two arguments")),
        (("get", "lit://models/notes.txt", "here"), 2, ("'lit://models/notes.txt'", "two arguments")),
        (("put", "notes.txt", "lit://models"), 2, ("'lit://models' is a drive", "the first argument")),
        (("put", "./notes.txt", "lit://models"), 2, ("'./notes.txt'", "the drive is the first")),
        (("rm", "notes.txt", "lit://models"), 2, ("'lit://models' is a drive",)),
    ],
)
def test_invalid_input_is_refused_in_one_line(
    drive: DriveVerb, models: Drive, words: tuple[str, ...], code: int, parts: tuple[str, ...]
):
    is_refused(drive(*words), code, *parts)


def test_a_target_below_a_file_is_refused_in_one_line(drive: DriveVerb, models: Drive):
    Path("file").touch()

    is_refused(drive("get", "models", "notes.txt", "--to", "file/notes.txt"), 1, "file")


def test_control_characters_in_names_are_escaped(drive: DriveVerb, models: Drive):
    (root() / "drives/models/main/\x1b[2J\nforged").touch()

    output = drive("ls", "models")
    assert "\x1b" not in output.out
    assert r"\x1b[2J\nforged" in output.out


def test_cat_writes_bytes_unchanged_and_ends_quietly_with_its_reader(tmp_path: Path):
    data = os.urandom(5_000_000)
    Path("big.bin").write_bytes(data)
    Drive("lit://big").put("big.bin")
    cat = [sys.executable, "-m", "lightning_lite", "drive", "cat", "big", "big.bin"]

    done = subprocess.run(cat, capture_output=True, check=True)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    with open("out.bin", "ab") as file:  # sendfile() refuses a file opened for appending
        subprocess.run(cat, stdout=file, check=True)
    assert Path("out.bin").read_bytes() == data

    with subprocess.Popen(cat, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == data[:10]
        process.stdout.close()
        assert process.stderr.read() == b""


def test_cat_works_without_sendfile(drive: DriveVerb, models: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(syscalls, "sendfile", None)

    assert drive("cat", "models", "weights/a.bin", "notes.txt").out == "a" * 2000 + "remember\n"


# verify


def test_verify_of_an_intact_drive_finds_nothing_even_during_a_put(drive: DriveVerb, models: Drive):
    own = root() / "drives/models/.lightning_lite"

    with StagingFolder(str(own / "aside")).new_file(), DriveLock(str(own / "lock")).held():
        assert drive("verify") == (0, "models: 3 files, 2.0 KiB: no findings\n", "")


def test_verify_lists_a_finding_for_each_damaged_file(drive: DriveVerb, models: Drive):
    space = root() / "drives/models/main"
    (space / "weights/a.bin").chmod(0o644)
    (space / "weights/deep/b.bin").chmod(0o4444)
    (space / "link").symlink_to("/etc/passwd")
    os.mkfifo(space / "pipe")
    (space / "a\nb").touch(mode=0o444)
    (root() / "drives/models/stray").touch()
    aside = root() / "drives/models/.lightning_lite/aside"
    (aside / ".lightning_lite-1-2-3").write_text("half")
    (aside / "else").touch()
    names = ".lightning_lite-1-1-1", "main/weights", ".lightning_lite-1-1-2"
    (aside / ".lightning_lite.intent").write_text("\n".join(names))
    (root() / "drives/models").chmod(0o755)

    output = drive("verify", "models", "--json")

    newline = "'a\\nb' has the control character U+000A at position 1 of a name"
    assert output.code == 1
    (report,) = output.data
    assert [(found["path"], found["what"]) for found in report["findings"]] == [
        (".", "other users have access (mode 755)"),
        ("main/weights", "an exchange of this folder was not finished"),
        (".lightning_lite/aside/.lightning_lite-1-2-3", "it is a leftover of a dead process"),
        (".lightning_lite/aside/else", "it does not belong to the drive"),
        ("main/a\nb", f"invalid name: {newline}; remove it"),
        ("main/link", "it is a symbolic link that leads out of the drive"),
        ("main/pipe", "it is a FIFO"),
        ("main/weights/a.bin", "it has write permission (mode 644)"),
        ("main/weights/deep/b.bin", "set-id bits (mode 4444)"),
        ("stray", "it is a file, but only folders of components belong here"),
    ]  # fmt: skip
    plain = drive("verify")
    assert plain.code == 1
    assert "models: main/pipe: it is a FIFO; delete it" in plain.out
    assert plain.out.splitlines()[-1] == "models: 4 files, 2.0 KiB: 10 findings"


def test_verify_finds_a_file_that_can_not_be_read(
    drive: DriveVerb, models: Drive, monkeypatch: pytest.MonkeyPatch
):
    opened, read = syscalls.open_file, "main/weights/a.bin"

    def fail(path: str, *args: Any, **options: Any) -> int:
        if path.endswith(read):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *args, **options)

    monkeypatch.setattr(syscalls, "open_file", fail)

    output = drive("verify")
    assert output.code == 1
    assert f"models: {read}: it can't be read: input/output error; check the disk" in output.out


def test_the_next_put_removes_leftovers_that_verify_finds(drive: DriveVerb, models: Drive):
    aside = root() / "drives/models/.lightning_lite/aside"
    (aside / ".lightning_lite-1-2-3").mkdir()
    assert drive("verify").code == 1

    models.put("notes.txt", "other.txt")

    assert drive("verify").code == 0


def test_the_hashes_are_those_of_sha256sum(drive: DriveVerb, models: Drive):
    output = drive("verify", "models", "--hash")

    done = subprocess.run(
        ["sha256sum", "--check", "--quiet"],
        input=output.out,
        cwd=root() / "drives/models",
        text=True,
        check=True,
    )
    assert done.returncode == 0
    assert len(output.out.splitlines()) == 3
    assert output.err == "models: 3 files, 2.0 KiB: no findings\n"


# help and completion


def test_the_examples_in_the_help_can_be_parsed():
    context = click.Context(command)
    for name in command.list_commands(context):
        verb = command.get_command(context, name)
        assert verb is not None
        _, _, examples = (verb.epilog or "").partition("Examples:")
        assert examples.strip()
        for line in examples.strip().splitlines():
            words = shlex.split(re.split(r"[|>]", line)[0])
            if words[0] == "lightning-lite":
                assert words[1:3] == ["drive", name]
                verb.make_context(name, words[3:], help_option_names=["-h", "--help"])


def test_drives_and_paths_are_completed(models: Drive):
    shell = ShellComplete(group, {}, "lightning-lite", "_LIGHTNING_LITE_COMPLETE")

    def complete(*words: str) -> list[str]:
        return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]

    assert complete("drive", "get", "mo") == ["models"]
    assert complete("drive", "get", "models", "") == ["notes.txt", "weights/"]
    assert complete("drive", "cat", "models", "weights/d") == ["weights/deep/"]
    assert complete("drive", "ls", "--root", "nowhere", "models", "") == []
    assert set(complete("drive", "")) == {"ls", "tree", "get", "put", "cat", "rm", "du", "verify"}


def test_put_keeps_links_if_asked_and_get_gives_them_back(drive: DriveVerb):
    Path("repo/src").mkdir(parents=True)
    Path("repo/src/a.py").write_text("a")
    Path("repo/link").symlink_to("src/a.py")
    Path("repo/broken").symlink_to("nothing")

    is_refused(drive("put", "d", "repo"), 1, "is a symbolic link to 'nothing'", "--symlinks keep")
    assert drive("put", "d", "repo", "--symlinks", "keep") == (0, "", "")
    assert drive("get", "d", "repo", "--to", "copy/") == (0, "copy/repo\n", "")
    assert os.readlink("copy/repo/link") == "src/a.py"
    assert os.readlink("copy/repo/broken") == "nothing"
    assert drive("cat", "d", "repo/link").out == "a"
    assert drive("verify", "d").code == 0
    assert drive("put", "d", "repo", "--symlinks", "follow").code == 2


def test_a_move_of_an_open_file_copies_it_and_says_so(drive: DriveVerb):
    with open("log", "w") as file:
        file.write("v1")
        file.flush()
        output = drive("put", "d", "log", "--move")
    assert (output.code, output.out) == (0, "")
    assert output.err.startswith("Warning: --move copies ")
    assert output.err.count("\n") == 1
    assert Path("log").read_text() == drive("cat", "d", "log").out == "v1"
    assert drive("put", "d", "log", "--move") == (0, "", "")
    assert not Path("log").exists()


def test_a_file_is_got_through_a_link_to_another_folder_if_asked(drive: DriveVerb, own_place: Path):
    (own_place.parent / "big").mkdir()
    Path("data").symlink_to(own_place.parent / "big")
    Path("data/x").write_text("x")

    assert drive("put", "d", "data/x", "--follow-symlinks") == (0, "", "")
    is_refused(drive("get", "d", "data/x"), 1, "is a symbolic link that leads out", "pass --follow-symlinks")
    assert drive("get", "d", "data/x", "--follow-symlinks") == (0, "data/x\n", "")


def test_a_path_through_a_link_to_the_working_directory_keeps_its_folders(drive: DriveVerb, own_place: Path):
    Path("sub").mkdir()
    Path("sub/f").write_text("f")
    (own_place.parent / "link").symlink_to(own_place)

    drive("put", "d", own_place.parent / "link/sub/f")
    assert drive("ls", "d", "-R").out == "sub/f\n"
    drive("get", "d", "sub/f", "--to", own_place.parent / "link/copy")
    assert Path("copy").read_text() == "f"


def test_the_verbs_work_in_a_working_directory_that_was_removed(
    drive: DriveVerb, own_place: Path, monkeypatch: pytest.MonkeyPatch
):
    Path("f").write_text("f")
    drive("put", "d", "f")
    Path("gone").mkdir()
    os.chdir("gone")
    Path(own_place, "gone").rmdir()

    assert drive("ls", "d") == (0, "f\n", "")
    assert drive("get", "d", "f", "--to", own_place / "copy") == (0, f"{own_place}/copy\n", "")
    assert drive("put", "d", own_place / "copy") == (0, "", "")
    is_refused(drive("put", "d", "f"), 1, "the working directory of this process was removed")
    assert drive("rm", "d", "f*", "copy") == (0, "", "")
    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    is_refused(drive("ls", "d"), 2, "working directory", "--root DIR")
