"""Each public name is in the reference."""

from __future__ import annotations

import re
from pkgutil import resolve_name

import pytest

from tests.support.pages import PROJECT

REFERENCE = "".join(page.read_text("utf-8") for page in (PROJECT / "docs/reference").glob("*.md"))


def named_by(directive: str) -> list[str]:
    """Return the names that a directive of autodoc has on the pages of the reference."""
    return re.findall(rf"^\.\. {directive}:: (\S+)$", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("module", ["", ".frontends", ".structures", ".storage", ".testing"])
def test_each_public_name_is_in_the_reference(module: str):
    package = f"lightning_lite{module}"
    documented = [resolve_name(name) for name in (*named_by("autoclass"), *named_by("autofunction"))]
    public = resolve_name(package).__all__

    assert [name for name in public if resolve_name(f"{package}.{name}") not in documented] == []


def test_all_errors_are_in_the_reference():
    assert named_by("automodule") == ["lightning_lite.errors", "lightning_lite.storage.errors"]
