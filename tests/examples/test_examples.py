"""Each example prints the text of the gallery; one has its own interpreter, as a script of a user has."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import run_script

pytestmark = pytest.mark.dependencies

EXAMPLES = Path(__file__).parents[2] / "examples"

GALLERY = (EXAMPLES.parent / "docs/gallery.md").read_text("utf-8")

# An example of the gallery: its file, and the text that it prints.
IN_GALLERY = re.compile(
    r"^```\{literalinclude\} \.\./examples/(?P<name>\S+)\n.*?^```\n\n^```text\n(?P<printed>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)

PRINTED = {match["name"]: match["printed"] for match in IN_GALLERY.finditer(GALLERY)}

# Seconds for each shard or epoch.
ARGUMENTS = {"beyond/retries.py": ["0"], "resume/app.py": ["0.01"], "ui/app.py": ["0.01"]}

NEEDS_TWO_PROCESSES = {
    "auto_scaler.py",
    "beyond/retries.py",
    "drive/producer_consumer.py",
    "streamlit_page.py",
    "ui/app.py",
}

# The packages that only `make test-ml` installs; there, a test of `tests/ml` runs it.
NEEDS = {"streamlit_page.py": "streamlit"}

# Several works print at the same time.
IN_ANY_ORDER = {"beyond/retries.py", "ui/app.py"}

# The number of the second server. If it starts slowly, the load falls before it answers: it is removed, and
# the next load adds one with another number.
VARIES = {"auto_scaler.py": re.compile(r"(?<= and root\.scaler\.servers\.)\d+")}

# No app: it runs until Ctrl-C, and needs Ray. A test in `tests/remote` runs it.
NO_APPS = {"beyond/cluster.py"}


def run(script: Path, folder: Path, runner: str = "processes", scripts: ForkedScripts | None = None) -> str:
    """Run `script` in `folder`, as a user does, or by `scripts`, and return its output."""
    arguments = next((ARGUMENTS[name] for name in ARGUMENTS if script.match(name)), [])
    environment = {name: value for name, value in os.environ.items() if name != "LIGHTNING_LITE_ROOT"}
    environment["LIGHTNING_LITE_RUNNER"] = runner
    return (scripts.run if scripts else run_script)(script, *arguments, cwd=folder, env=environment)


def test_each_example_is_in_the_gallery():
    files = {file.relative_to(EXAMPLES).as_posix() for file in EXAMPLES.rglob("*.py")}
    assert PRINTED.keys() == files - NO_APPS
    assert all(f"`examples/{name}`" in GALLERY for name in NO_APPS)


@pytest.mark.parametrize("example", PRINTED)
def test_an_example_prints_the_text_in_the_gallery(
    example: str, own_place: Path, forked_scripts: ForkedScripts
):
    if example in NEEDS:
        pytest.importorskip(NEEDS[example], reason="only in `make test-ml`")
    printed, expected = run(EXAMPLES / example, own_place, scripts=forked_scripts), PRINTED[example]
    if example in VARIES:
        printed = VARIES[example].sub("1", printed)
    if example in IN_ANY_ORDER:
        printed, expected = ("\n".join(sorted(text.splitlines())) for text in (printed, expected))
    assert printed == expected


@pytest.mark.parametrize("example", sorted(PRINTED.keys() - NEEDS_TWO_PROCESSES))
def test_an_example_prints_the_same_in_one_process(
    example: str, own_place: Path, forked_scripts: ForkedScripts
):
    printed = run(EXAMPLES / example, own_place, "inline", forked_scripts)

    assert printed == PRINTED[example]


def test_a_script_with_spaces_in_its_path_is_executed_once_and_leaves_only_its_file_and_the_root(
    tmp_path: Path,
):
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    script, imports = tmp_path / "a script with spaces.py", tmp_path / "imports.txt"
    source = (EXAMPLES / "drive/app.py").read_text("utf-8")
    script.write_text(f"print('line', file=open({str(imports)!r}, 'a'))\n{source}", "utf-8")

    assert run(script, folder) == PRINTED["drive/app.py"]
    assert sorted(os.listdir(folder)) == [".lightning_lite", "a.txt"]
    assert imports.read_text("utf-8") == "line\n", "its works have executed it, too"
