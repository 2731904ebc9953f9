"""Files go from work to work by their paths, in real apps."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from path_works import Declared, Do, Gets, Killed, Make, Moves, Plain, Read, ReadInside, Record, Row

from lightning_lite import LightningApp, LightningWork
from lightning_lite.storage import Drive, Path

from tests.support.flows import Steps, run_steps

pytestmark = pytest.mark.usefixtures("drives_place")

#: Not on an object store: it is about plain files.
only_files = pytest.mark.parametrize("drives_place", ["files"], indirect=True)


def test_a_path_that_a_run_makes_is_read_by_the_next_work(own_place):
    def steps(flow):
        flow.make.run("hello")
        return flow.read.run(flow.make.path)

    root = run_steps(steps, "inline", make=Make(), read=Read())

    assert root._answer == ("out.txt", "hello", "root.make", "root.read")
    assert root.make.path.origin_name == "root.make"
    assert sorted(os.listdir()) == ["out.txt"]


def test_a_path_arrives_at_any_depth_of_the_arguments_and_in_an_attribute(own_place):
    def steps(flow):
        flow.make.run("hello", "deep/er/out.txt")
        flow.read.path = flow.make.path.parent / "out.txt"
        return flow.read.run({"paths": [(flow.make.path,)]}), flow.read.run()

    root = run_steps(steps, "inline", make=Make(), read=Read())

    assert root._answer == (("deep/er/out.txt", "hello", "root.make", "root.read"),) * 2


@only_files
def test_a_lit_string_becomes_a_path_in_the_root(tmp_path):
    def steps(flow):
        flow.make.run()
        return flow.read.run(flow.make.path)

    root = run_steps(steps, "inline", make=Declared("lit://data/x.txt"), read=Read())

    assert root._answer == (f"{tmp_path}/root/paths/data/x.txt", "Path", "root.make", "root.read")
    assert list((tmp_path / "root/drives/.paths/root.make").rglob("x.txt"))


@only_files
def test_a_lit_string_lies_in_the_root_of_the_app_also_if_that_was_not_known_when_it_was_made(own_place):
    def steps(flow):
        flow.make.run()
        return flow.read.run(flow.make.path), flow.read.run(flow.path)

    root = Steps(steps, make=Declared("lit://data/x.txt"), read=Read(), path="lit://data/x.txt")
    LightningApp(root, root_dir=own_place / "app").run("inline")

    place = f"{own_place}/app/paths/data/x.txt"
    assert root._answer == ((place, "Path", "root.make", "root.read"), (place, "Path", None, None))
    assert str(root.make.path) == place
    assert os.listdir() == ["app"]


def test_a_lit_string_becomes_a_path_in_a_flow_and_when_it_is_assigned_later():
    def steps(flow):
        flow.read.path = "lit://data/x.txt"
        return flow.read.path

    root = run_steps(steps, "inline", read=Read())

    assert isinstance(root._answer, Path)
    assert root._answer.origin_name == "root.read"


class Shares(LightningWork):
    def __init__(self, drive_id):
        super().__init__()
        self.drive_id = drive_id
        self.drive = Drive(self.drive_id)

    def run(self):
        pathlib.Path("note").write_text("note")
        Drive(self.drive_id).put("note")
        return self.drive.id, self.drive.list()


@pytest.mark.parametrize("root_dir", [None, "app"])
def test_a_component_may_keep_the_id_of_a_drive_in_its_state(own_place, root_dir):
    root = Steps(lambda flow: flow.shares.run(), shares=Shares("lit://shared"))
    LightningApp(root, root_dir=root_dir).run("inline")
    assert root._answer == ("lit://shared", ["note"])


def test_other_strings_stay_strings():
    make = Declared("s3://x")

    assert type(make.path) is str


def test_what_is_gone_comes_back_as_it_was_when_the_run_ended(own_place):
    def steps(flow):
        flow.make.run("hello", "folder/out.txt")
        flow.do.run(lambda: shutil.rmtree("folder"))
        return flow.read.run(flow.make.path)

    root = run_steps(steps, "inline", make=Make(), do=Do(), read=Read())

    assert root._answer[1] == "hello"
    assert pathlib.Path("folder/out.txt").read_text() == "hello"


def test_newer_data_of_the_producer_is_preferred_to_what_is_kept_and_is_not_touched(own_place):
    def steps(flow):
        flow.make.run("old")
        before = flow.do.run(lambda: (pathlib.Path("out.txt").write_text("newer"), _seen("out.txt")))
        return flow.read.run(flow.make.path)[1], before[1] == _seen("out.txt")

    assert run_steps(steps, "inline", make=Make(), do=Do(), read=Read())._answer == ("newer", True)


def _seen(path):
    info = os.stat(path)
    return info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_mode


#: Classes of objects with a path, and how many bytes go with them: more than 1 MiB are sent through a file.
CONTAINERS = [(Record, 0), (Row, 0), (Plain, 0), (Record, 2 * 1024 * 1024)]


def test_works_in_different_folders_find_each_others_files(own_place):
    for name in "one", "other":
        (own_place / name).mkdir()
    (own_place / "other/out.txt").write_text("of the other work's own")

    def steps(flow):
        flow.make.run("hello")
        flow.declared.run()
        found = [flow.read.run(flow.make.path), flow.read.run(flow.declared.path)]
        for kind, size in CONTAINERS:
            flow.do.run(lambda kind=kind, size=size: os.remove(f"{own_place}/one/out.txt"))
            found.append(flow.inside.run(kind(flow.make.path), bytes(size)))
        return found

    root = run_steps(
        steps,
        make=Make(cwd="one"),
        declared=_in_folder("one", Path("declared.txt")),
        do=Do(),
        read=Read(cwd="other"),
        inside=ReadInside(cwd="other"),
    )

    plain, declared, *contained = root._answer
    assert plain[:2] == (f"{own_place}/one/out.txt", "hello")
    assert declared[:2] == (f"{own_place}/one/declared.txt", "Path")
    # A path in an object is found and restored as one in a list is.
    assert contained == [
        (kind.__name__, f"{own_place}/one/out.txt", "hello", "root.inside") for kind, _ in CONTAINERS
    ]
    assert (own_place / "other/out.txt").read_text() == "of the other work's own"
    assert os.listdir("other") == ["out.txt"]


def _in_folder(folder, path):
    work = Declared(path)
    work._policy = work._policy._replace(cwd=os.path.abspath(folder))
    return work


@only_files
def test_a_work_that_changes_its_directory_moves_nothing(own_place):
    def steps(flow):
        flow.make.run()
        flow.do.run(lambda: os.remove("out.txt"))
        return flow.read.run(flow.make.path)

    assert run_steps(steps, make=Moves(), do=Do(), read=Read())._answer[:2] == ("out.txt", "hello")


class Forgets(LightningWork):
    def __init__(self):
        super().__init__()
        self.path = Path("never.txt")

    def run(self):
        return self.path.exists()


def test_a_file_that_is_missing_at_the_end_of_a_run_gives_a_warning(own_place):
    with pytest.warns(UserWarning, match="1 artifact could not be saved because it doesn't exist") as caught:
        root = run_steps(lambda flow: flow.forgets.run(), "inline", forgets=Forgets())

    assert [(warning.filename, warning.lineno) for warning in caught] == [("root.forgets", 0)]
    assert root._answer is False


def test_the_content_does_not_make_another_call(own_place):
    def steps(flow):
        flow.make.run("one")
        first = flow.read.run(flow.make.path)
        flow.do.run(lambda: pathlib.Path("out.txt").write_text("two"))
        return first, flow.read.run(flow.make.path), flow.read.run(flow.make.path, number=1)

    root = run_steps(steps, "inline", make=Make(), do=Do(), read=Read())

    assert [answer[1] for answer in root._answer] == ["one", "one", "two"]


def test_works_can_be_used_without_an_app(own_place):
    make, read = Make(), Read()
    make.run("hello")

    assert read.run(make.path) == ("out.txt", "hello", "", "")


@only_files
def test_a_producer_that_is_killed_while_its_files_are_kept_leaves_the_old_version_or_the_new_one(own_place):
    def steps(flow):
        flow.make.run("old", 0)
        assert flow.gets.run(flow.make.path, 0) == [("a", "old"), ("b", "old")]
        for number in range(1, 100, 9):
            flow.make.run(f"new{number}", number)
            found = flow.gets.run(flow.make.path, number)
            assert len({text for _, text in found}) == 1, found
            assert len(found) == 2, found
            if flow.make.call(f"new{number}", number).succeeded:
                assert found == [("a", f"new{number}"), ("b", f"new{number}")], found
                return number
        return None

    root = run_steps(steps, make=Killed(), gets=Gets())

    assert root._answer is not None, "the count never ended"
    assert root._answer > 10


@only_files
@pytest.mark.parametrize("module", ["lightning_lite", "lightning_lite.tree.flow", "lightning_lite.core.flow"])
def test_a_text_becomes_a_path_even_if_nothing_of_storage_was_imported(module: str, own_place):
    code = f"""
from {module} import LightningFlow

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.path = "lit://runs/best.ckpt"
        self.text = "not lit://"

flow = Flow()
flow.text = "lit://other"
print(type(flow.path).__name__, flow.path.located, type(flow.text).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Path", "lit://runs/best.ckpt", "Path"]
