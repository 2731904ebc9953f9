"""`docs/modules.md` has a line for each module, and no line for a module that is gone."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import lightning_lite

FOLDER = Path(lightning_lite.__file__).parent
PAGE = FOLDER.parent / "docs" / "modules.md"

#: Folders of which one line describes all modules.
ONE_LINE = ("cli/verbs/", "core/", "web/static/views/", "web/static/charts/", "web/static/vendor/")


def modules() -> set[str]:
    """Return the paths of all modules below the package, without the suffix."""
    files = [*FOLDER.rglob("*.py"), *FOLDER.glob("web/static/**/*.js")]
    paths = {file.relative_to(FOLDER).with_suffix("").as_posix() for file in files}
    return {path for path in paths if not path.endswith("__init__") and not path.startswith(ONE_LINE)}


def modules_on_the_page() -> set[str]:
    """Return the paths of the modules in the tables of the page; a name may leave out its folder."""
    found: set[str] = set()
    folder = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if heading := re.match("##+ (.*)", line):
            packages = re.findall("`([^`]+)`", heading[1])
            folder = packages[0] if len(packages) == 1 else ""
        if line.startswith("| `"):
            parent = PurePosixPath(folder)
            for name in re.findall("`([^`]+)`", line.split(" | ")[0]):
                path = PurePosixPath(folder, name)
                if "/" not in name:
                    path = parent / name
                parent = path.parent
                found.add(path.as_posix())
    return found


def test_each_module_has_a_line():
    assert sorted(modules() - modules_on_the_page()) == []


def test_each_line_is_about_a_module():
    known = {path for path in modules_on_the_page() if re.fullmatch(r"[\w/]+", path)}
    folders = {folder.relative_to(FOLDER).as_posix() for folder in FOLDER.rglob("*") if folder.is_dir()}
    assert sorted(known - modules() - folders) == []
