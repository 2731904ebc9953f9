"""Each example prints the expected lines when it is run like a user's script."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.processes import run_script

pytestmark = pytest.mark.dependencies

EXAMPLES = Path(__file__).parents[2] / "examples"

PRINTED = {
    "drive/app.py": """\
        root.work_2 | ['a.txt']
        root.work_2 | False
        root.work_2 | True
        root.work_2 | Hello World !
        Application End!
    """,
    "drive/three_works.py": """\
        root.c | drive_1: ['a.txt', 'b.txt']
        root.c | drive_2: ['b.txt', 'c.txt']
        All files are shared.
    """,
    "drive/standalone.py": """\
        []
        ['a.txt']
        Hello World !
        []
    """,
    "drive/producer_consumer.py": """\
        root.consumer | shard 0: 499500
        root.consumer | shard 1: 1999000
        root.consumer | shard 2: 4498500
        root.consumer | shard 3: 7998000
        The sum of 4000 numbers is 7998000.
    """,
    "first_app.py": """\
        best loss: 0.01
    """,
    "progress.py": """\
        fast is ahead
        slow: 1.3357, fast: 0.0, each after 5 epochs
    """,
    "grid_search.py": """\
        6 points, two processes
        best: rate=0.4, steps=20, loss=0.000000
    """,
    "dynamic_works.py": """\
        question: 8 letters at 31
        whether: 7 letters at 40
        nobler: 6 letters at 52
        suffer: 6 letters at 74
        4 works have measured.
    """,
    "resume/app.py": """\
        shard 0: 100 words
        shard 1: 101 words
        shard 2: 102 words
        shard 3: 103 words
        shard 4: 104 words
        shard 5: 105 words
        shard 6: 106 words
        shard 7: 107 words
        828 words in 8 shards
    """,
}

ARGUMENTS = {"resume/app.py": ["0.01"]}  # seconds for each shard


NEEDS_TWO_PROCESSES = {"drive/producer_consumer.py"}


def run(script: Path, folder: Path, runner: str = "processes") -> list[str]:
    """Run `script` in `folder`, as a user does, and return the lines that it printed."""
    arguments = next((ARGUMENTS[name] for name in ARGUMENTS if script.match(name)), [])
    environment = {name: value for name, value in os.environ.items() if name != "LIGHTNING_LITE_ROOT"}
    environment["LIGHTNING_LITE_RUNNER"] = runner
    return run_script(script, *arguments, cwd=folder, env=environment).splitlines()


def expected(example: str) -> list[str]:
    """Return the lines that `example` prints."""
    return [line.strip() for line in PRINTED[example].splitlines() if line.strip()]


def test_each_example_is_in_the_list():
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parents[1].rglob("*.py"))
    examples = [file.relative_to(EXAMPLES).as_posix() for file in EXAMPLES.rglob("*.py")]

    assert [example for example in examples if f'"{example}"' not in tests] == []


@pytest.mark.parametrize("example", PRINTED)
def test_an_example_prints_its_expected_lines(example: str, own_place: Path):
    assert run(EXAMPLES / example, own_place) == expected(example)


@pytest.mark.parametrize("example", sorted(PRINTED.keys() - NEEDS_TWO_PROCESSES))
def test_an_example_prints_the_same_in_one_process(example: str, own_place: Path):
    assert run(EXAMPLES / example, own_place, runner="inline") == expected(example)


def test_the_drive_example_runs_with_spaces_in_its_path_and_leaves_only_its_file_and_the_root(tmp_path: Path):
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    script = Path(shutil.copy(EXAMPLES / "drive/app.py", tmp_path / "a script with spaces.py"))

    assert run(script, folder) == expected("drive/app.py")
    assert sorted(os.listdir(folder)) == [".lightning_lite", "a.txt"]


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_a_script_with_many_works_is_executed_once(runner: str, own_place: Path):
    source = (EXAMPLES / "drive/app.py").read_text("utf-8")
    script = own_place / "counted.py"
    script.write_text(f"print('line', file=open('imports.txt', 'a'))\n{source}", "utf-8")

    run(script, own_place, runner)

    assert (own_place / "imports.txt").read_text("utf-8") == "line\n"
