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
import pytest
from click.shell_completion import ShellComplete

from lightning_lite.cli.main import group
from lightning_lite.cli.verbs.drive import command
from lightning_lite.storage import Drive
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.locks import DriveLock
from lightning_lite.storage.local.layout import StagingFolder
from lightning_lite.testing import poll_until

from tests.cli.verbs import Said, call, says_in_one_line

pytestmark = pytest.mark.dependencies

DriveVerb = Callable[..., Said]


@pytest.fixture
def drive(capfd: pytest.CaptureFixture[str]) -> DriveVerb:
    """Call a verb of drives."""
    return lambda *words: call(capfd, "drive", *words)


@pytest.fixture
def models() -> Drive:
    """A drive with two components."""
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


def test_the_way_of_a_file_into_a_drive_and_out_again(drive: DriveVerb):
    Path("a.txt").write_text("Hello World !")

    assert drive("put", "shared", "a.txt") == (0, "", "")
    assert drive("ls", "shared") == (0, "a.txt\n", "")
    assert drive("cat", "shared", "a.txt") == (0, "Hello World !", "")
    assert drive("get", "shared", "a.txt", "--to", "b.txt") == (0, "b.txt\n", "")
    assert Path("b.txt").read_text() == "Hello World !"
    assert drive("rm", "shared", "a.txt") == (0, "", "")
    assert drive("ls", "shared") == (0, "", "")


def test_a_drive_is_known_with_and_without_its_protocol(drive: DriveVerb, models: Drive):
    assert drive("ls", "lit://models") == drive("ls", "models") == (0, "notes.txt\nweights/\n", "")


def test_without_a_drive_ls_and_du_tell_of_all_drives(drive: DriveVerb, models: Drive):
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


def test_ls_tells_sizes_times_and_owners(drive: DriveVerb, models: Drive):
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


def test_no_name_is_cut_however_long(drive: DriveVerb):
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
    assert drive("rm", "models", "*").code == 0  # what is ours
    assert models.list() == ["notes.txt"]


def test_put_takes_several_to_a_folder_also_from_elsewhere(drive: DriveVerb, tmp_path: Path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "a.txt").write_text("a")
    Path("sub").mkdir()
    Path("sub/b.txt").write_text("b")

    assert drive("put", "shared", tmp_path / "far/a.txt", "../far", "sub/b.txt").code == 0
    assert drive("put", "shared", tmp_path / "far/a.txt", "sub/b.txt", "--to", "both").code == 0
    assert drive("put", "shared", "sub", "--to", "into/").code == 0

    assert drive("ls", "shared", "-R").out.split() == [
        "a.txt", "both/a.txt", "both/b.txt", "far/a.txt", "into/sub/b.txt", "sub/b.txt",
    ]  # fmt: skip


def test_get_to_a_place_outside_of_the_working_directory(drive: DriveVerb, models: Drive, tmp_path: Path):
    said = drive("get", "models", "weights", "--to", tmp_path / "out")

    assert said.out == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "deep" / "b.bin").read_bytes() == b"bb"


def test_a_dot_is_a_folder_to_get_into_and_never_replaced(drive: DriveVerb, models: Drive):
    Path("elsewhere/inner").mkdir(parents=True)
    os.chdir("elsewhere")
    Path("keep").touch()

    assert drive("get", "models", "weights", "--to", ".", "--overwrite").out == "weights\n"
    assert drive("get", "models", "weights", "--to", "inner/..", "--overwrite").out == "weights\n"
    assert drive("get", "models", "notes.txt", "--to", "..").code == 0

    assert sorted(os.listdir(".")) == ["inner", "keep", "weights"]


def test_move_uses_up_the_source(drive: DriveVerb):
    Path("a.txt").write_text("a")

    drive("put", "shared", "a.txt", "--move")

    assert not Path("a.txt").exists()
    assert drive("cat", "shared", "a.txt").out == "a"


def test_a_folder_that_is_there_is_replaced_only_if_that_is_said(drive: DriveVerb, models: Drive):
    says_in_one_line(drive("get", "models", "weights"), 1, "Add --overwrite to replace it.")
    assert drive("get", "models", "weights", "--overwrite") == (0, "weights\n", "")


def test_get_waits_for_what_is_not_there_yet(drive: DriveVerb):
    said = drive("get", "shared", "never.txt", "--timeout", "0.01")

    says_in_one_line(said, 1, "never.txt", "0.01 seconds")


def test_ctrl_c_ends_the_waiting():
    waiting = [
        sys.executable,
        "-m",
        "lightning_lite",
        "drive",
        "get",
        "shared",
        "never.txt",
        "--timeout",
        "600",
    ]

    with subprocess.Popen(waiting, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        poll_until((root() / "drives/shared/.lightning_lite/aside").exists)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert b"Traceback" not in process.stdout.read()
    assert process.returncode == 130


def test_put_and_rm_act_as_a_component(drive: DriveVerb, models: Drive):
    Path("notes.txt").write_text("other")
    says_in_one_line(drive("rm", "models", "notes.txt"), 1, "root.train", "--component root.train")
    says_in_one_line(
        drive("put", "models", "notes.txt"), 1, "root.train", "--component root.train", "--allow-duplicates"
    )

    assert drive("put", "models", "notes.txt", "--allow-duplicates").code == 0
    says_in_one_line(drive("cat", "models", "notes.txt"), 1, "--component NAME")
    assert drive("cat", "models", "notes.txt", "--component", "main").out == "other"
    assert drive("rm", "models", "notes.txt", "--component", "root.train").code == 0
    assert drive("cat", "models", "notes.txt").out == "other"


def test_a_link_out_of_the_folder_needs_a_word(drive: DriveVerb, tmp_path: Path):
    (tmp_path / "secret").write_text("s")
    Path("link").symlink_to(tmp_path / "secret")

    says_in_one_line(drive("put", "shared", "link"), 1, "--follow-symlinks")
    assert drive("put", "shared", "link", "--follow-symlinks").code == 0


def test_a_name_that_is_not_portable_needs_a_word_to_be_put_and_none_to_be_read(drive: DriveVerb):
    Path("a:b").write_text("x")

    says_in_one_line(drive("put", "shared", "a:b"), 1, "--any-names")
    assert drive("put", "shared", "a:b", "--any-names").code == 0
    assert drive("cat", "shared", "a:b").out == "x"
    assert drive("rm", "shared", "a:b").code == 0


def test_tree_shows_all_that_is_there_also_empty_folders(drive: DriveVerb, models: Drive):
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


def test_du_sums_up(drive: DriveVerb, models: Drive):
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
        (("ls", "models", "weihgts"), 1, ("'weihgts'", "did you mean 'weights'?")),
        (("ls", "models", "*.nothing"), 1, ("'*.nothing'",)),
        (("cat", "models", "weights"), 1, ("is a folder",)),
        (("cat", "models", "../../etc/passwd"), 1, ("'..' is not allowed",)),
        (("get", "models", "weights/.lightning_lite"), 1, ("reserved",)),
        (("put", "models", "nothing"), 1, ("nothing' doesn't exist",)),
        (("rm", "models", "."), 1, ("name a file or a folder",)),
        (("ls", "--root", "nowhere"), 2, ("nowhere", "--root")),
        (("verify", "modles"), 2, ("did you mean 'models'?",)),
        (("get", "models"), 2, ("PATH",)),
    ],
)
def test_bad_input_is_told_in_one_line(
    drive: DriveVerb, models: Drive, words: tuple[str, ...], code: int, parts: tuple[str, ...]
):
    says_in_one_line(drive(*words), code, *parts)


def test_a_folder_without_permission_is_told_in_one_line(drive: DriveVerb, models: Drive):
    Path("file").touch()

    says_in_one_line(drive("get", "models", "notes.txt", "--to", "file/notes.txt"), 1, "file")


def test_names_that_could_drive_a_terminal_are_shown_harmless(drive: DriveVerb, models: Drive):
    (root() / "drives/models/main/\x1b[2J\nforged").touch()

    said = drive("ls", "models")
    assert "\x1b" not in said.out
    assert r"\x1b[2J\nforged" in said.out


def test_cat_streams_bytes_as_they_are_and_ends_quietly_when_nobody_reads(tmp_path: Path):
    data = os.urandom(5_000_000)
    Path("big.bin").write_bytes(data)
    Drive("lit://big").put("big.bin")
    cat = [sys.executable, "-m", "lightning_lite", "drive", "cat", "big", "big.bin"]

    done = subprocess.run(cat, capture_output=True, check=True)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()
    with open("out.bin", "ab") as file:  # where sendfile refuses
        subprocess.run(cat, stdout=file, check=True)
    assert Path("out.bin").read_bytes() == data

    with subprocess.Popen(cat, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == data[:10]
        process.stdout.close()
        assert process.stderr.read() == b""


def test_cat_needs_no_help_of_the_kernel(drive: DriveVerb, models: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(syscalls, "sendfile", None)

    assert drive("cat", "models", "weights/a.bin", "notes.txt").out == "a" * 2000 + "remember\n"


# verify


def test_a_sound_drive_is_verified_also_while_somebody_puts(drive: DriveVerb, models: Drive):
    own = root() / "drives/models/.lightning_lite"

    with StagingFolder(str(own / "aside")).new_file(), DriveLock(str(own / "lock")).held():
        assert drive("verify") == (0, "models: 3 files, 2.0 KiB: nothing is wrong\n", "")


def test_verify_says_what_is_wrong_file_by_file(drive: DriveVerb, models: Drive):
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
    (aside / ".lightning_lite.intent").write_text("new\nmain/weights\nold")
    (root() / "drives/models").chmod(0o755)

    said = drive("verify", "models", "--json")

    newline = "'a\\nb' has the control character U+000A at position 1 of a name"
    assert said.code == 1
    (report,) = said.data
    assert [(found["path"], found["what"]) for found in report["findings"]] == [
        (".", "other users have access (mode 755)"),
        ("main/weights", "an exchange of this folder was not finished"),
        (".lightning_lite/aside/.lightning_lite-1-2-3", "it is a leftover of a dead process"),
        (".lightning_lite/aside/else", "it does not belong to the drive"),
        ("main/a\nb", f"invalid name: {newline}; remove it"),
        ("main/link", "it is a symbolic link"),
        ("main/pipe", "it is a FIFO"),
        ("main/weights/a.bin", "it has write permission (mode 644)"),
        ("main/weights/deep/b.bin", "set-id bits (mode 4444)"),
        ("stray", "it is a file, but only folders of components belong here"),
    ]  # fmt: skip
    plain = drive("verify")
    assert plain.code == 1
    assert "models: main/pipe: it is a FIFO; delete it" in plain.out
    assert plain.out.splitlines()[-1] == "models: 4 files, 2.0 KiB: 10 to look at"


def test_a_file_that_the_disk_does_not_give_back_is_found(
    drive: DriveVerb, models: Drive, monkeypatch: pytest.MonkeyPatch
):
    opened, read = syscalls.open_file, "main/weights/a.bin"

    def fail(path: str, *args: Any, **options: Any) -> int:
        if path.endswith(read):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *args, **options)

    monkeypatch.setattr(syscalls, "open_file", fail)

    said = drive("verify")
    assert said.code == 1
    assert f"models: {read}: it can't be read: input/output error; check the disk" in said.out


def test_what_verify_finds_of_dead_processes_the_next_put_mends(drive: DriveVerb, models: Drive):
    aside = root() / "drives/models/.lightning_lite/aside"
    (aside / ".lightning_lite-1-2-3").mkdir()
    assert drive("verify").code == 1

    models.put("notes.txt", "other.txt")

    assert drive("verify").code == 0


def test_the_hashes_are_those_of_sha256sum(drive: DriveVerb, models: Drive):
    said = drive("verify", "models", "--hash")

    done = subprocess.run(
        ["sha256sum", "--check", "--quiet"],
        input=said.out,
        cwd=root() / "drives/models",
        text=True,
        check=True,
    )
    assert done.returncode == 0
    assert len(said.out.splitlines()) == 3
    assert said.err == "models: 3 files, 2.0 KiB: nothing is wrong\n"


# help and completion


def test_the_examples_in_the_help_are_right():
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
                verb.make_context(name, words[3:])


def test_drives_and_paths_are_completed(models: Drive):
    shell = ShellComplete(group, {}, "lightning-lite", "_LIGHTNING_LITE_COMPLETE")

    def complete(*words: str) -> list[str]:
        return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]

    assert complete("drive", "get", "mo") == ["models"]
    assert complete("drive", "get", "models", "") == ["notes.txt", "weights/"]
    assert complete("drive", "cat", "models", "weights/d") == ["weights/deep/"]
    assert complete("drive", "ls", "--root", "nowhere", "models", "") == []
    assert set(complete("drive", "")) == {"ls", "tree", "get", "put", "cat", "rm", "du", "verify"}
