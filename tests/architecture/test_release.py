"""The tools of a release: each obstacle is named, and the first app of the README is compared."""

from __future__ import annotations

import datetime
import subprocess
import zipfile
from pathlib import Path

import pytest

from lightning_lite.distribution import NAME
from tools.first_app import README, first_program
from tools.release_check import changelog_trouble, tag_text, tree_trouble, wheel_trouble

TODAY = datetime.date(2026, 1, 2)


def git(folder: Path, *arguments: str) -> None:
    """Run git as an author who needs no configuration."""
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a checkout with one commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init")
    (folder / "README.md").write_text("# Title")
    git(folder, "add", "README.md")
    git(folder, "commit", "--message", "Begin")
    return folder


def wheel(
    folder: Path, description: str, address: str = "https://example.org/it", version: str = "1.0"
) -> Path:
    """Write a wheel that has metadata and nothing else."""
    file = folder / f"it-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            f"it-{version}.dist-info/METADATA",
            f"Metadata-Version: 2.4\nName: {NAME}\nVersion: {version}\n"
            f"Project-URL: Repository, {address}\n\n{description}",
        )
    return file


def test_a_clean_checkout_can_be_released_before_and_after_its_tag(project: Path):
    assert list(tree_trouble(project, "1.0")) == []

    git(project, "tag", "v1.0")

    assert list(tree_trouble(project, "1.0")) == []


def test_a_changed_and_a_new_file_are_named(project: Path):
    (project / "README.md").write_text("# Another title")
    (project / "a new file.txt").touch()

    (trouble,) = tree_trouble(project, "1.0")

    assert "README.md" in trouble
    assert "a new file.txt" in trouble


def test_the_tag_of_an_earlier_commit_is_not_used_again(project: Path):
    git(project, "tag", "v1.0")
    git(project, "commit", "--allow-empty", "--message", "Go on")

    (trouble,) = tree_trouble(project, "1.0")

    assert trouble.startswith("The tag v1.0 is on another commit")


@pytest.mark.parametrize(
    ("changelog", "named"),
    [
        ("# Changelog\n", "is none"),
        ("## [Unreleased]\n\n- New.\n\n## [1.0] - 2026-01-02\n\n- Old.\n", "is [Unreleased]"),
        ("## [1.0]\n\n- New.\n", "the date None"),
        ("## [1.0] - soon\n\n- New.\n", "the date 'soon'"),
        ("## [1.0] - 2026-01-03\n\n- New.\n", "2026-01-03, which is to come"),
        ("## [1.0] - 2026-01-02\n\n## [0.9] - 2025-01-02\n\n- Old.\n", "is empty"),
    ],
)
def test_a_changelog_without_a_dated_section_of_the_version_is_refused(changelog: str, named: str):
    (trouble,) = changelog_trouble(changelog, "1.0", TODAY)

    assert named in trouble


def test_the_text_of_the_tag_is_the_section_of_its_version():
    changelog = (
        "# Changelog\n\n## [1.0] - 2026-01-02\n\n### Added\n\n- New.\n\n## [0.9] - 2025-01-02\n\n- Old.\n"
    )

    assert list(changelog_trouble(changelog, "1.0", TODAY)) == []
    assert tag_text(changelog, "1.0") == "lightning_lite 1.0\n\n### Added\n\n- New.\n"


def test_links_of_the_readme_are_followed(project: Path, tmp_path: Path):
    base = "https://example.org/it/blob/v1.0"
    description = f"[here](#title) [it]({base}/README.md#title) [gone]({base}/gone.md) [bare](docs/model.md) [far](https://a.org/b)"

    trouble = list(wheel_trouble(wheel(tmp_path, description), project, "1.0"))

    assert len(trouble) == 2
    assert "'gone.md', which is not in this commit" in trouble[0]
    assert "'docs/model.md', which the wheel leaves relative" in trouble[1]


def test_placeholders_are_refused(project: Path, tmp_path: Path):
    (trouble,) = wheel_trouble(wheel(tmp_path, "It.", "https://git.example/it"), project, "1.0")

    assert "placeholders" in trouble


def test_a_wheel_of_another_version_or_none_is_refused(project: Path, tmp_path: Path):
    for file in (wheel(tmp_path, "It.", version="0.9"), tmp_path / "none.whl"):
        (trouble,) = wheel_trouble(file, project, "1.0")
        assert trouble.endswith("build it: make build")


def test_the_readme_begins_with_a_program_and_its_output():
    source, printed = first_program(README.read_text("utf-8"))

    assert "LightningApp(" in source
    assert printed


def test_a_page_without_a_program_is_an_error_that_says_what_to_write():
    with pytest.raises(ValueError, match="write one"):
        first_program("# Title\n")
