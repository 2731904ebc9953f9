"""The front end of the page: its files, and that nothing in it can turn data into markup."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from lightning_lite import __file__ as package

STATIC = Path(package).parent / "web" / "static"
VENDOR = STATIC / "vendor"
LIBRARIES = tomllib.loads((VENDOR / "vendor.toml").read_text())["library"]
OWN_SCRIPTS = sorted(path for path in STATIC.rglob("*.js") if VENDOR not in path.parents)
STATIC_IMPORT = re.compile(r'\bfrom "([^"]+)";')
DYNAMIC_IMPORT = re.compile(r'\bimport\("([^"]+)"\)')


def name_of(path: Path) -> str:
    return path.relative_to(STATIC).as_posix()


def imports_of(script: Path) -> list[str]:
    text = script.read_text()
    return STATIC_IMPORT.findall(text) + DYNAMIC_IMPORT.findall(text)


def reached_by(imports_of: Callable[[Path], list[str]]) -> set[Path]:
    """Return the own scripts that main.js loads, directly or not."""
    reached: set[Path] = set()
    waiting = [STATIC / "main.js"]
    while waiting:
        script = waiting.pop()
        if script not in reached and VENDOR not in script.parents:
            reached.add(script)
            waiting.extend((script.parent / target).resolve() for target in imports_of(script))
    return reached


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library["name"])
def test_a_vendored_library_is_unchanged_and_has_its_licence(library):
    for name, file in library["files"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == file["sha256"], name
    assert any("LICENSE" in name for name in library["files"])
    assert library["version"] in library["source"]
    assert library["licence"]


def test_each_vendored_file_is_named_with_its_checksum():
    named = {name for library in LIBRARIES for name in library["files"]}
    found = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert found - {"vendor.toml"} == named


def test_there_are_scripts():
    assert STATIC / "main.js" in OWN_SCRIPTS
    assert len(OWN_SCRIPTS) > 30


@pytest.mark.parametrize(
    "banned",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "setHTMLUnsafe",
        "srcdoc",
        "eval(",
        "new Function",
        "javascript:",
        "document.cookie",
    ],
)
def test_no_script_makes_markup_or_code_from_text(banned):
    assert [name_of(script) for script in OWN_SCRIPTS if banned in script.read_text()] == []


def test_each_imported_module_exists():
    found = [(script, target) for script in OWN_SCRIPTS for target in imports_of(script)]
    assert [
        f"{name_of(script)} imports {target}, which a browser can't find"
        for script, target in found
        if not target.startswith(".") or not (script.parent / target).resolve().is_file()
    ] == []


def test_each_own_script_is_loaded_by_another_one():
    assert reached_by(imports_of) == set(OWN_SCRIPTS)


def test_the_document_has_no_inline_script_and_no_inline_style():
    text = (STATIC / "index.html").read_text()
    for script in re.findall(r"<script\b[^>]*>(.*?)</script>", text, re.DOTALL):
        assert script == ""
    assert "<style" not in text
    assert not re.search(r"\s(style|on\w+)\s*=", text)


def test_the_document_names_files_that_exist_and_no_other_host():
    for target in re.findall(r'\b(?:src|href)="([^"]+)"', (STATIC / "index.html").read_text()):
        assert target.startswith("/static/")
        assert (STATIC / target.removeprefix("/static/")).is_file(), target


def test_no_template_has_an_inline_style():
    # The policy of the page refuses an attribute with text; `style=${{...}}` sets properties and is allowed.
    inline = re.compile(r"""\sstyle=["']""")
    assert [name_of(script) for script in OWN_SCRIPTS if inline.search(script.read_text())] == []


def test_nothing_of_the_page_is_loaded_from_another_host():
    for path in [*OWN_SCRIPTS, STATIC / "app.css", STATIC / "index.html"]:
        for address in re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^\s"'`)]*""", path.read_text()):
            assert "127.0.0.1" in address, f"{path.name} names {address}"


def test_a_file_in_a_frame_never_gets_the_origin_of_the_page():
    frames = [line for script in OWN_SCRIPTS for line in script.read_text().splitlines() if "<iframe" in line]
    assert frames
    for line in frames:
        # Or it is a document of ours around a page of a flow, which has the sandbox: see web/page_frames.
        assert 'sandbox="allow-scripts"' in line or "src=${state.source}" in line
    assert not any("allow-same-origin" in script.read_text() for script in OWN_SCRIPTS)


def test_no_scripts_import_each_other():
    graph = {
        script: [(script.parent / name).resolve() for name in imports_of(script)] for script in OWN_SCRIPTS
    }
    TopologicalSorter(graph).prepare()  # raises a `CycleError`, which names the scripts


def test_the_document_names_each_module_of_the_first_view_so_that_the_browser_asks_for_all_at_once():
    text = (STATIC / "index.html").read_text()
    named = re.findall(r'rel="modulepreload" href="/static/([^"]+)"', text)
    own = [name for name in named if not name.startswith("vendor/")]
    at_once = reached_by(lambda script: STATIC_IMPORT.findall(script.read_text()))
    assert own == sorted(name_of(script) for script in at_once if script.name != "main.js")
    assert len(at_once) < len(OWN_SCRIPTS)
