"""The module of the system calls, and the abilities of file systems."""

from __future__ import annotations

import ast
import os
import warnings
from pathlib import Path

import pytest

import lightning_lite.storage
from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveUnsupportedFS, DriveWarning
from lightning_lite.storage.fs import probe, syscalls

FOLDER = Path(lightning_lite.storage.__file__).parent

#: Functions that only return information, or are not about files.
HARMLESS = {
    "DirEntry", "O_CLOEXEC", "O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_NONBLOCK", "O_RDWR", "O_WRONLY",
    "PathLike", "SEEK_DATA", "SEEK_HOLE", "environ", "fdopen", "fsencode", "fspath", "fstatvfs", "getcwd",
    "geteuid", "getpid", "major", "minor", "path", "register_at_fork", "sched_yield",
    "stat_result", "strerror", "urandom",
}  # fmt: skip
HARMLESS_PATHS = {"isabs", "abspath", "basename", "dirname", "expanduser", "isdir", "relpath"}


def test_only_syscalls_calls_functions_on_files():
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        if path.name == "syscalls.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                if node.attr not in HARMLESS:
                    found.append(f"{path.name}:{node.lineno} os.{node.attr}")
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os.path":
                if node.attr not in HARMLESS_PATHS:
                    found.append(f"{path.name}:{node.lineno} os.path.{node.attr}")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
                if path.name != "probe.py":  # the list of mounts
                    found.append(f"{path.name}:{node.lineno} open()")
            elif isinstance(node, ast.Import) and any(name.name == "shutil" for name in node.names):
                found.append(f"{path.name}:{node.lineno} shutil")
    assert found == []


def test_the_exchange_is_atomic_where_there_is_one(quick_place: Path):
    for name in ("one", "other"):
        Path(name).mkdir()
        Path(name, name).touch()
    if not syscalls.exchange("one", "other"):
        pytest.skip("no exchange here")
    assert Path("one/other").exists()
    assert Path("other/one").exists()
    with pytest.raises(FileNotFoundError):
        syscalls.exchange("one", "nothing")


MOUNTS = """27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 0:25 / {place} rw,relatime shared:1 - {kind} server:/x rw
29 28 0:26 / {place}/with\\040space rw - tmpfs none rw
30 28 0:27 / {place}/tab\\011line\\012back\\134slash rw - xfs /dev/vdb rw
31 28 0:28 / {place}/\\134040 rw - btrfs /dev/vdc rw
32 28 0:29 / {place}/other\r\x85\xa0white\x1f\u3000space rw - fuse.x  rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "nfs4"),
        ("/deep/er", "nfs4"),
        ("-not", "ext4"),
        ("/with space/x", "tmpfs"),
        ("/tab\tline\nback\\slash/x", "xfs"),
        ("/\\040/x", "btrfs"),
        ("/other\r\x85\xa0white\x1f\u3000space/x", "fuse.x"),
    ],
)
def test_the_kind_of_a_file_system_is_read_from_the_mounts(own_place: Path, path: str, kind: str):
    Path("mounts").write_bytes(MOUNTS.format(place=own_place, kind="nfs4").encode())
    assert probe.file_system_type(f"{own_place}{path}", "mounts") == kind


def test_the_kind_is_empty_if_the_system_has_no_list_of_mounts(own_place: Path):
    assert probe.file_system_type(str(own_place), "nothing") == ""
    probe.check_file_system(str(own_place), "nothing")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nfs", False), ("nfs4", False), ("cifs", False), ("smb3", False), ("9p", False), ("fuse.sshfs", False),
     ("fuse.anything", False), ("fuseblk", False), ("virtiofs", False), ("ext4", True), ("tmpfs", True)],
)  # fmt: skip
def test_leases_are_believed_on_local_file_systems_only(own_place: Path, kind: str, expected: bool):
    Path("mounts").write_text(MOUNTS.format(place=own_place, kind=kind))
    assert probe.has_true_leases(os.makedev(0, 25), f"{own_place}/mounts") == expected
    assert probe.has_true_leases(os.makedev(0, 26), f"{own_place}/mounts")  # of another mount
    assert probe.has_true_leases(os.makedev(0, 25), f"{own_place}/nothing")


@pytest.fixture
def on_network(own_place: Path, monkeypatch) -> Drive:
    monkeypatch.setattr(probe, "file_system_type", lambda folder, mounts: "fuse.sshfs")
    monkeypatch.setattr(probe, "_checked", set())
    Path("a").write_text("a")
    return Drive("lit://d")


def test_a_network_folder_gives_one_warning_with_its_type(on_network: Drive):
    with pytest.warns(DriveWarning, match=r"network file system \(fuse.sshfs\)") as caught:
        on_network.put("a")
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on_network.put("a")
        Drive("lit://d").put("a")
    assert on_network.list() == ["a"]
    assert not list(Path(on_network.root_dir).glob("drives/d/.lightning_lite/aside/*"))


def test_a_network_folder_is_tried_out_next_to_files_of_a_process_with_the_same_id(tmp_path: Path):
    for ending in ("lock", "new"):  # of another host, or of a container that was killed
        (tmp_path / f"probe-{os.getpid()}.{ending}").touch()

    assert probe.try_out(str(tmp_path)) == []


def test_a_process_that_has_only_listed_so_far_is_warned_at_its_first_put(on_network: Drive):
    with pytest.warns(DriveWarning):
        on_network.put("a")
    probe._checked.clear()
    other = Drive("lit://d")
    assert other.list() == ["a"]
    with pytest.warns(DriveWarning, match="network file system"):
        other.put("a")


@pytest.mark.parametrize("broken", ["locks", "create-only"])
def test_a_network_folder_without_locks_or_exclusive_creation_is_refused(
    on_network: Drive, monkeypatch, broken
):
    cure = {"locks": ("fcntl.LOCK_EX", "fcntl.LOCK_SH"), "create-only": ("os.O_EXCL", "0")}[broken]
    monkeypatch.setattr(probe, "_RIVAL", probe._RIVAL.replace(*cure))
    if broken == "locks":
        monkeypatch.setattr(probe.syscalls, "LOCK_EX", syscalls.LOCK_SH)
    for _ in range(2):
        with (
            pytest.warns(DriveWarning),
            pytest.raises(DriveUnsupportedFS, match=f"{broken} do not work on .*fuse.sshfs"),
        ):
            Drive("lit://d").put("a")
