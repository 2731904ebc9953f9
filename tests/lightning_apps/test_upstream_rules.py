"""Small rules of Lightning App on which its apps rely: names, texts, paths, plain data of the cloud."""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path as LocalPath
from typing import ClassVar

import pytest
from upstream_works import CountsNothing, CountsWords, HasPath, Notebook, Reads, WritesLitPath

from lightning_lite import BuildConfig, CloudCompute, Drive, LightningApp, LightningFlow, LightningWork, Path
from lightning_lite.errors import StateError
from lightning_lite.lightning_app.stubs import AppInfo
from lightning_lite.storage import Mount
from lightning_lite.structures import Dict, List
from lightning_lite.testing import EmptyFlow, EmptyWork
from lightning_lite.tree.cloud import Dockerfile

from tests.support.flows import OneWork

# The folder of `lit://` paths.


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_a_work_writes_to_lit_paths_without_creating_a_folder(runner):
    flow = OneWork(WritesLitPath())

    LightningApp(flow).run(runner)

    assert [LocalPath(path).read_text() for path in (flow.work.early, flow.work.late)] == ["made"] * 2


def test_a_lit_path_outside_a_work_creates_nothing(tmp_path):
    Path("lit://a.txt")

    assert not (tmp_path / "root").exists()


# Origins and names.


class Inner(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = HasPath()

    def run(self):
        self.work.run()


class Outer(LightningFlow):
    def __init__(self):
        super().__init__()
        self.inner, self.listed = Inner(), List(HasPath())
        self.reader = Reads()
        self.answers = None

    def run(self):
        self.inner.run()
        self.listed[0].run()
        self.answers = [self.reader.run(work.path) for work in (self.inner.work, self.listed[0])]
        self.stop()


def test_a_path_without_a_named_work_has_an_empty_origin_and_without_a_work_none():
    assert (HasPath().origin_at_first, Path("a").origin_name) == ("", None)


def test_the_origin_of_a_path_is_the_last_name_of_its_work():
    flow = Outer()

    assert flow.inner.work.path.origin_name == flow.inner.work.path.consumer_name == "root.inner.work"
    assert flow.listed[0].path.origin_name == "root.listed.0"


def test_a_path_of_a_nested_work_is_stored_under_its_work():
    flow = Outer()

    LightningApp(flow).run()

    assert flow.answers == [("root.inner.work", True), ("root.listed.0", True)]


def test_structures_outside_a_tree_have_the_name_of_a_root():
    works, flows = Dict(a=EmptyWork()), List(EmptyFlow(), EmptyFlow())

    assert (works.name, works["a"].name) == ("root", "root.a")
    assert [flows.name, *(flow.name for flow in flows)] == ["root", "root.0", "root.1"]


def test_structures_in_a_tree_have_their_place_as_their_name():
    class Holder(EmptyFlow):
        def __init__(self):
            super().__init__()
            self.group = Dict(a=EmptyWork(), b=List(EmptyWork()))

    holder = Holder()

    assert (holder.group.name, holder.group["a"].name) == ("root.group", "root.group.a")
    assert holder.group["b"][0].name == "root.group.b.0"


# Reloading a tree whose components are created while it runs.


class Grows(LightningFlow):
    def __init__(self):
        super().__init__()
        self.count = 0

    def run(self):
        if not hasattr(self, "child"):
            self.child = Counting()
        self.child.run()
        self.stop()

    def load_state_dict(self, flow_state, children_states, strict=True):
        self.child = Counting()
        super().load_state_dict(flow_state, children_states, strict)


class Counting(EmptyFlow):
    def __init__(self):
        super().__init__()
        self.number = 0

    def run(self):
        self.number += 1


def test_load_state_dict_may_create_the_components_of_the_state():
    first = Grows()
    app = LightningApp(first)
    app.run()

    second = Grows()
    LightningApp(second).load_state_dict(app.state_dict())

    assert (first.child.number, second.child.number, second.child.name) == (1, 1, "root.child")


def test_load_state_dict_of_a_flow_alone_may_create_components():
    flow = Grows()

    flow.load_state_dict({"vars": {"count": 3}}, {"child": {"vars": {"number": 5}}})

    assert (flow.count, flow.child.number) == (3, 5)


def test_after_load_state_dict_no_component_can_be_added():
    flow = Grows()
    flow.load_state_dict(flow.state_dict(), {})

    with pytest.raises(StateError, match="Cannot set attributes that were not defined in __init__: other"):
        flow.other = EmptyFlow()


# States that Lightning App has saved, and the part that it calls `calls` in them.


class Keeps(EmptyFlow):
    def __init__(self):
        super().__init__()
        self.rate = 1.0
        self.drive, self.machine = Drive("lit://kept"), CloudCompute("gpu")
        self.description = {}
        self.work = CountsNothing()


SAVED = {
    "vars": {
        "rate": 0.5,
        "drive": {"type": "__drive__", "id": "kept", "protocol": "lit://", "root_folder": "/gone"},
        "description": {"type": "__drive__", "id": "other"},
        "machine": {"type": "__cloud_compute__", "name": "cpu", "_internal_id": "default"},
        "_layout": [],
        "_paths": {},
    },
    "calls": {},
    "flows": {},
    "works": {
        "work": {
            "vars": {
                "number": 3,
                "_cloud_compute": {"type": "__cloud_compute__", "name": "cpu-small"},
                "_display_name": "",
                "_future_url": "",
                "_host": "127.0.0.1",
                "_internal_ip": "",
                "_paths": {},
                "_port": None,
                "_public_ip": "",
                "_restarting": False,
                "_url": "",
            },
            "calls": {"latest_call_hash": "fe3f", "fe3f": {"ret": None, "statuses": []}},
            "changes": {},
        }
    },
    "structures": {},
    "changes": {},
    "app_state": {"stage": "running"},
}


@pytest.mark.parametrize("verb", ["load_state_dict", "set_state"])
def test_a_state_that_lightning_app_has_saved_is_loaded_without_the_details_of_its_cloud(verb):
    flow = Keeps()

    getattr(LightningApp(flow), verb)(SAVED)

    assert (flow.rate, flow.work.number) == (0.5, 3)
    assert (flow.drive, flow.machine.name) == (Drive("lit://kept"), "gpu")
    assert flow.work.cloud_compute == CloudCompute()
    assert flow.description == {"type": "__drive__", "id": "other"}


def test_other_private_names_in_a_state_are_refused():
    with pytest.raises(StateError, match=r"root\._layouts was never declared"):
        Keeps().set_state({"vars": {"_layouts": []}})


def test_the_statuses_in_the_state_have_no_empty_fields():
    flow = OneWork(CountsNothing())
    LightningApp(flow).run()

    calls = flow.state["works"]["work"]["calls"]
    statuses = calls[calls["latest_call_hash"]]["statuses"]

    assert [status["stage"] for status in statuses] == ["pending", "running", "failed"]
    assert set(statuses[0]) == {"stage", "timestamp"}
    assert statuses[-1]["reason"] == "user_exception"
    assert "no numbers" in statuses[-1]["message"]


# Dicts of the module `collections` in the state.


class KeepsDicts(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = CountsWords()
        self.seen = Counter()
        self.passes = defaultdict(int)

    def run(self):
        self.passes["all"] += 1
        self.work.run("a b")
        self.seen.update(self.work.words)
        self.stop()


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_counters_and_other_dicts_of_collections_are_state(runner):
    flow = KeepsDicts()

    LightningApp(flow).run(runner)

    assert flow.work.words == Counter(a=2, b=1)
    assert flow.work.words.most_common(1) == [("a", 2)]
    assert list(flow.work.order.items()) == [("b", 1), ("a", 2)]
    assert flow.work.groups["new"] == ["a b"]
    assert flow.work.groups["missing"] == []
    assert flow.work.nested == {"inner": Counter(x=1)}
    assert flow.seen == Counter(a=2, b=1)
    assert flow.passes["all"] >= 1
    assert isinstance(flow.state["vars"]["seen"], Counter)


def test_a_resumed_run_has_its_counters():
    class Fails(KeepsDicts):
        def run(self):
            self.work.run("a b")
            if self.work.words["a"] and not LocalPath("again").exists():
                LocalPath("again").touch()
                raise ValueError("stop here")
            self.stop()

    with pytest.raises(ValueError, match="stop here"):
        LightningApp(Fails()).run()
    flow = Fails()
    LightningApp(flow).run(resume=True)

    assert flow.work.words == Counter(a=2, b=1)


# Texts that apps and their tests match on.


def test_the_text_about_a_root_without_run():
    with pytest.raises(
        TypeError, match=r"The root flow passed to `LightningApp` does not override the `run\(\)` method"
    ):
        LightningApp(LightningFlow())


@pytest.mark.parametrize("name", ["", "ro", "roott"])
def test_the_text_about_an_invalid_name_of_a_component(name):
    with pytest.raises(ValueError, match=rf"Invalid component name {name}\. Name must start with 'root'"):
        LightningApp(EmptyFlow()).get_component_by_name(name)


# Old names, and values that are only stored.


def test_exit_is_the_old_name_of_stop(capfd):
    class Exits(LightningFlow):
        def run(self):
            with pytest.deprecated_call(match="old name of stop"):
                self._exit("The end")

    LightningApp(Exits()).run()

    assert capfd.readouterr().out == "The end\n"


def test_a_work_overrides_its_address_with_a_property():
    flow = OneWork(Notebook())
    assert flow.work.url == ""

    LightningApp(flow).run()

    assert flow.work.url == f"http://127.0.0.1:{flow.work.port}/lab?token=abc"


def test_values_for_the_page_and_the_cloud_are_stored():
    flow, info = OneWork(EmptyWork()), AppInfo(title="Mine", meta_tags=["<meta>"])
    flow.lightningignore = flow.work.lightningignore = ("*.ckpt",)

    app = LightningApp(flow, None, "info", info, root_path="/app")

    assert (app.info.title, app.root_path) == ("Mine", "/app")
    assert (flow.lightningignore, flow.work.lightningignore, EmptyFlow().lightningignore) == (
        ("*.ckpt",),
        ("*.ckpt",),
        (),
    )


def test_the_state_with_changes_is_the_state():
    app = LightningApp(Holder())

    for owner in (app, app.root, app.root.work, app.root.group):
        assert owner.state_with_changes == owner.state


class Holder(EmptyFlow):
    def __init__(self):
        super().__init__()
        self.work, self.group = EmptyWork(), Dict(a=EmptyWork())


def test_lightningignore_can_not_be_set_while_the_app_runs():
    class Ignores(LightningFlow):
        def run(self):
            self.lightningignore = ("*.ckpt",)

    with pytest.raises(RuntimeError, match=r"dispatched, so modifying the `root.lightningignore`"):
        LightningApp(Ignores()).run()


# Machines, mounts and requirements: plain data without effect.


def test_one_mount_is_one_mount_and_is_kept_as_it_was_given():
    mount = Mount("s3://bucket/folder/")

    assert CloudCompute("gpu", mounts=mount).mounts is mount
    assert CloudCompute("gpu", mounts=[mount]).mounts == [mount]
    assert CloudCompute("gpu").mounts is None
    assert mount.protocol == "s3://"


def test_a_machine_survives_its_plain_data():
    compute = CloudCompute("gpu", mounts=[Mount("s3://a/", "/a"), Mount("s3://b/", "/b")])
    data = compute.to_dict()

    assert data["mounts"] == [
        {"source": "s3://a/", "mount_path": "/a"},
        {"source": "s3://b/", "mount_path": "/b"},
    ]
    assert CloudCompute.from_dict(data) == compute
    assert compute.clone().id != compute.id
    assert compute.clone().call_key() == compute.call_key()


def test_two_mounts_at_one_path_are_refused():
    with pytest.raises(ValueError, match="Every Mount attached to a work must have a unique mount_path"):
        CloudCompute("gpu", mounts=[Mount("s3://a/", "/a"), Mount("s3://b/", "/a")])


def test_interruptible_needs_the_variable_and_a_gpu(monkeypatch):
    with pytest.raises(ValueError, match="isn't supported yet"):
        CloudCompute("gpu", interruptible=True)
    monkeypatch.setenv("LIGHTNING_INTERRUPTIBLE_WORKS", "1")
    with pytest.raises(ValueError, match="supported only with GPU"):
        CloudCompute("cpu", interruptible=True)

    compute = CloudCompute("gpu", interruptible=True)

    assert (compute.interruptible, compute.preemptible) == (True, True)
    assert CloudCompute.from_dict(compute.to_dict()).interruptible


def run_module(folder: LocalPath, text: str) -> dict[str, object]:
    """Execute a file in `folder`, and return its names."""
    file = folder / "work_module.py"
    file.write_text(text)
    names: dict[str, object] = {"__name__": "work_module", "__file__": str(file)}
    exec(compile(text, str(file), "exec"), names)
    return names


def test_requirements_and_dockerfile_are_relative_to_the_file_that_calls(tmp_path):
    (tmp_path / "needs.txt").write_text(
        "# tools\npandas>=1, <3\nnumpy<2  # strict\n\ngit+https://example.org/x.git@v1\nhttps://example.org/y.whl\n"
    )
    (tmp_path / "Docker.cpu").write_text("FROM scratch\nCOPY . .\n")

    made = run_module(
        tmp_path,
        "from lightning_lite import BuildConfig\n"
        "config = BuildConfig(['dask', './needs.txt'], dockerfile='Docker.cpu')\n",
    )["config"]

    assert isinstance(made, BuildConfig)
    assert made.requirements == ["dask", "pandas>=1", "numpy<2", "git+https://example.org/x.git@v1"]
    assert isinstance(made.dockerfile, Dockerfile)
    assert made.dockerfile.data == ["FROM scratch\n", "COPY . .\n"]
    assert BuildConfig.from_dict(made.to_dict()) == made


def test_a_work_takes_the_requirements_beside_its_file_unless_it_has_others(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("torch\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "beside.py").write_text(
        "from lightning_lite import BuildConfig, LightningWork\n"
        "class Work(LightningWork):\n"
        "    def run(self): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    module = __import__("beside")
    monkeypatch.delitem(sys.modules, "beside")
    monkeypatch.setitem(sys.modules, "beside", module)

    assert module.Work().local_build_config.requirements == ["torch"]
    assert module.Work().cloud_build_config.dockerfile.data == ["FROM scratch\n"]
    assert module.Work(local_build_config=BuildConfig(["dask"])).local_build_config.requirements == ["dask"]
    assert EmptyWork().local_build_config.requirements == []


def test_a_configuration_that_is_a_dataclass_has_its_commands_and_arguments(tmp_path):
    from dataclasses import dataclass  # noqa: PLC0415 - as such apps do

    @dataclass
    class Own(BuildConfig):
        level: int = 1

        def build_commands(self):
            return ["make"]

    assert Own().to_dict()["build_commands"] == ["make"]
    assert Own().requirements == []

    needs = tmp_path / "needs.txt"
    needs.write_text("dask\n")
    made = Own([os.path.relpath(needs, os.path.dirname(__file__)), "torch"], image="base", level=2)
    assert (made.requirements, made.image, made.dockerfile) == (["dask", "torch"], "base", None)
    assert made.level == 2
    with pytest.raises(TypeError, match="found the string 'torch'"):
        Own("torch")


def test_a_dataclass_that_goes_on_to_the_configuration_reads_the_files_of_its_caller(tmp_path):
    (tmp_path / "needs.txt").write_text("dask\n")

    made = run_module(
        tmp_path,
        "from dataclasses import dataclass\n"
        "from lightning_lite import BuildConfig\n"
        "@dataclass\n"
        "class Own(BuildConfig):\n"
        "    def __post_init__(self):\n"
        "        super().__post_init__()\n"
        "@dataclass\n"
        "class Below(Own):\n"
        "    def __post_init__(self):\n"
        "        super().__post_init__()\n"
        "configs = [Own(['needs.txt']), Below(['needs.txt'])]\n",
    )["configs"]

    assert [config.requirements for config in made] == [["dask"], ["dask"]]


def test_a_work_tells_its_configurations_that_it_has_them():
    class Notes(BuildConfig):
        told: ClassVar[list[tuple[LightningWork, CloudCompute | None]]] = []

        def on_work_init(self, work, cloud_compute=None):
            self.told.append((work, cloud_compute))

    compute = CloudCompute("gpu")
    work = EmptyWork(local_build_config=Notes(), cloud_build_config=Notes(), cloud_compute=compute)
    assert Notes.told == [(work, None), (work, compute)]

    work.local_build_config = Notes()
    assert Notes.told[2:] == [(work, None)]


def test_a_file_beside_a_work_that_is_not_read_is_logged(tmp_path, monkeypatch, caplog):
    (tmp_path / "requirements.txt").write_text("torch\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "work_beside_files.py").write_text(
        "from lightning_lite import BuildConfig, LightningWork\n"
        "class Work(LightningWork):\n"
        "    def run(self): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    work = import_module("work_beside_files").Work
    with caplog.at_level("INFO"):
        work(local_build_config=BuildConfig(["torch"]))
        work(local_build_config=BuildConfig(["torch"], dockerfile=f"{tmp_path}/./Dockerfile"))
        assert not caplog.records
        work(local_build_config=BuildConfig(["dask"], dockerfile="Dockerfile.cpu"))
    assert [record.getMessage() for record in caplog.records] == [
        "A 'requirements.txt' exists with ['torch'] but ['dask'] was passed to a Work; the file is not read.",
        f"A Dockerfile exists at '{tmp_path}/Dockerfile' but 'Dockerfile.cpu' was passed to a Work; "
        "the file is not read.",
    ]
    del sys.modules["work_beside_files"]


def test_a_drive_of_a_work_in_a_structure_belongs_to_its_last_name():
    class Puts(LightningWork):
        def __init__(self):
            super().__init__()
            self.drive = Drive("lit://owners")

        def run(self):
            LocalPath("a.txt").write_text("a")
            self.drive.put("a.txt")

    class Holder(LightningFlow):
        def __init__(self):
            super().__init__()
            self.group = List(Puts())

        def run(self):
            self.group[0].run()
            self.stop()

    LightningApp(Holder()).run(runner="inline")

    assert Drive("lit://owners").list(component_name="root.group.0") == ["a.txt"]
