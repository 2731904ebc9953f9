"""Apps whose drives are on an object store: the same programs, and no secret in any file of a run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_lite import LightningApp
from lightning_lite.errors import SettingError
from lightning_lite.storage import Drive, FileSystem
from lightning_lite.storage.errors import DriveTypeError
from lightning_lite.storage.stores import drive_names

from tests.examples.test_examples import PRINTED
from tests.support.files import write
from tests.support.forked_scripts import ForkedScripts
from tests.support.object_stores import KEYS
from tests.support.sharing import Parallel, Sharing

pytestmark = pytest.mark.dependencies

EXAMPLES = Path(__file__).parents[2] / "examples/drive"


@pytest.mark.parametrize("example", ["producer_consumer", "three_works", "standalone"])
def test_an_example_prints_the_same_with_its_drives_on_an_object_store(
    forked_scripts: ForkedScripts, example: str, remote_place: str, own_place: Path
):
    printed = forked_scripts.run(EXAMPLES / f"{example}.py", cwd=own_place)

    assert printed == PRINTED[f"drive/{example}.py"]
    if example != "standalone":
        assert drive_names(remote_place) != []


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_files_and_objects_of_works_go_through_the_store_and_no_key_into_a_file_or_a_text(
    runner: str, remote_place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    app = LightningApp(Sharing(), drives=remote_place, log_level="debug")

    app.run(runner)

    assert app.root._answer == ("hello", "hello", ["hello"])
    assert app.root._listed == "['note.txt']\n"
    assert not (tmp_path / "root/drives").exists()
    assert drive_names(remote_place) == ["d"]
    assert FileSystem().listdir("/") == ["shared.txt"]
    assert app.root.make.data.value == ["hello"]
    drive = Drive("lit://d", root_dir=remote_place)
    assert drive.list() == ["note.txt"]
    texts = [
        *(text.encode() for text in capfd.readouterr()),
        pickle.dumps(drive),
        repr(drive).encode(),
        repr(drive._store()).encode(),
    ]
    files = [
        path for top in ("root", "here", "cache") for path in (tmp_path / top).rglob("*") if path.is_file()
    ]
    assert any(path.suffix == ".log" for path in files)
    for secret in KEYS.values():
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
        assert not any(secret.encode() in text for text in texts)


def test_an_app_without_the_package_is_refused_before_it_starts(remote_place: str, tmp_path: Path):
    code = (
        "import sys; sys.modules['obstore'] = None\n"
        "from lightning_lite import LightningApp\n"
        "from tests.support.sharing import Sharing\n"
        "LightningApp(Sharing()).run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 1
    assert (
        "drives needs obstore, which is not installed: pip install 'lightning-lite-apps[s3]'" in done.stderr
    )
    assert not (tmp_path / "root").exists()


def test_a_drive_of_a_script_has_a_place_of_its_own(remote_place: str, own_place: Path):
    write("a.txt", "text")
    drive = Drive("lit://mine", root_dir=f"{remote_place}/inner/")

    drive.put("a.txt")

    assert drive.root_dir == f"{remote_place}/inner"
    assert drive.call_key() == ("lit://mine", f"{remote_place}/inner")
    assert drive_names(f"{remote_place}/inner") == ["mine"]
    assert Drive.from_dict(drive.to_dict()).list() == ["a.txt"]
    assert pickle.loads(pickle.dumps(drive)).list() == ["a.txt"]


def test_an_app_is_refused_with_a_bad_place():
    with pytest.raises(SettingError, match="drives must be the path of a folder, or a url"):
        LightningApp(Sharing(), drives="s3://").run()


@pytest.mark.parametrize("mode", ["group", "private", "trusted"])
def test_the_mode_of_a_root_is_refused_for_an_object_store(remote_place: str, mode: str):
    with pytest.raises(DriveTypeError, match=f"root_mode='{mode}' is about folders, and lit://d is at s3://"):
        Drive("lit://d", root_mode=mode).list()


def test_forked_works_and_parallel_works_in_threads_use_the_store(remote_place: str):
    for runner, options in (("processes", {"start_method": "forkserver"}), ("inline", {})):
        app = LightningApp(Parallel())
        app.run(runner, **options)
        assert app.root._listed == ["0.txt", "1.txt", "2.txt"]
