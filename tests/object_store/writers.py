"""Processes that use one drive in an object store at the same time."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from importlib import import_module
from pathlib import Path

from lightning_lite.storage.base import Destination, Source
from lightning_lite.storage.errors import DriveDuplicate, DriveError, DriveNotFound
from lightning_lite.storage.object_store.store import ObjectStore

#: Files of a folder whose contents are all the same.
FILES = 30


def use_one_name(store: ObjectStore, number: int, count: int) -> list[object]:
    """Put, get and delete one name; return the results and times of all operations."""
    random.seed(number)
    done: list[object] = []
    for turn in range(count):
        what, begin = random.random(), time.monotonic()
        if what < 0.45:
            value: object = f"{number}-{turn}"
            put(store, "name", str(value))
            done.append(("put", value, begin, time.monotonic()))
        elif what < 0.85:
            done.append(("get", get(store, "name"), begin, time.monotonic()))
        else:
            try:
                store.delete("anna", ("name",), durable=False)
                value = True
            except DriveNotFound:
                value = False
            done.append(("delete", value, begin, time.monotonic()))
    return done


def put_as_owner(store: ObjectStore, number: int, count: int) -> list[object]:
    """Put names exclusively as a component of its own; return those that it got."""
    won: list[object] = []
    for turn in range(count):
        try:
            put(store, f"name{turn}", str(number), owner=f"work{number}")
            won.append(turn)
        except DriveDuplicate:
            pass
    return won


def put_file_or_below(store: ObjectStore, number: int, count: int) -> list[object]:
    """Put files, or files below the same names; return the names that it got."""
    won: list[object] = []
    for turn in range(count):
        try:
            put(store, f"name{turn}/below" if number % 2 else f"name{turn}", str(number))
            won.append(turn)
        except DriveError:
            pass
    return won


def use_folder(store: ObjectStore, number: int, count: int) -> list[object]:
    """Put folders with equal files, or get them; return the number of different contents in each."""
    seen: list[object] = []
    for turn in range(count):
        if number % 2:
            put_folder(store, f"{number}-{turn}")
        elif (content := get_folder(store)) is not None:
            seen.append(len(set(content.values())) if len(content) == FILES else 0)
    return seen


def put(store: ObjectStore, path: str, content: str, owner: str = "anna") -> None:
    """Put a file with this content."""
    Path("source").write_text(content)
    _put(store, path, owner)


def put_folder(store: ObjectStore, content: str, path: str = "folder") -> None:
    """Put a folder of files with this content, one of which is too big to share an object."""
    Path("source").mkdir(exist_ok=True)
    for number in range(FILES):
        Path(f"source/{number}").write_text(content.ljust(100_000 if number == 0 else 100))
    _put(store, path, "anna")


def _put(store: ObjectStore, path: str, owner: str) -> None:
    here = str(Path.cwd())
    source = Source(f"{here}/source", here, follow_symlinks=False, check=lambda names, folder: None)
    store.put(owner, tuple(path.split("/")), source, exclusive=True, move=False, durable=False)


def get(store: ObjectStore, path: str) -> str | None:
    """Return the content of a file, or `None` if it does not exist."""
    try:
        store.get(tuple(path.split("/")), Destination(str(Path.cwd()), ("target",)), owner=None)
    except DriveNotFound:
        return None
    return Path("target").read_text()


def get_folder(store: ObjectStore, path: str = "folder") -> dict[str, str] | None:
    """Return the contents of a folder, or `None` if it does not exist."""
    try:
        store.get((path,), Destination(str(Path.cwd()), ("tree",), overwrite=True), owner=None)
    except DriveNotFound:
        return None
    return {file.name: file.read_text().strip() for file in Path("tree").iterdir()}


def work(job: str, url: str, cache: str, number: int, count: int) -> None:
    """Do a job in a folder of its own, and write the answer there."""
    os.mkdir(f"process{number}")
    os.chdir(f"process{number}")
    if mutant := os.environ.get("LIGHTNING_LITE_TEST_MUTANT"):
        import pytest  # noqa: PLC0415 - takes a part of a second

        getattr(import_module("mutants"), mutant)(pytest.MonkeyPatch())
    answer = globals()[job](ObjectStore(url, "drive", cache=cache), number, count)
    Path("answer.json").write_text(json.dumps(answer))


def main(job: str, url: str, cache: str, processes: int, count: int) -> None:
    """Do a job in forks of this process at the same time; none has used a store before."""
    import_module("obstore.store")  # else each fork imports it
    pids = []
    for number in range(processes):
        if not (pid := os.fork()):
            work(job, url, cache, number, count)
            return
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    sys.exit(0 if codes == [0] * processes else f"exit codes {codes}")


if __name__ == "__main__":
    job, url, cache, processes, count = sys.argv[1:]
    main(job, url, cache, int(processes), int(count))
