"""Names that are the same on macOS or Windows are refused, unless portable_names is false."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
import races

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveExists, DriveNameClash
from lightning_lite.storage.fs import syscalls

from tests.support.files import write

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))

#: A name that exists, and a name that is the same on other systems.
PAIRS = [
    ("File", "file"),
    ("file.TXT", "FILE.txt"),
    ("Straße", "STRASSE"),
    ("Été", "été"),
    ("ﬁle", "file"),
    ("x/File", "x/fIle"),
    ("X/a", "x/b"),
    ("x/Deep/a", "x/deep"),
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_second_form_of_a_name_is_refused_and_the_first_one_stays(drive: Drive, one: str, other: str):
    write("source", "old")
    drive.put("source", to=one)
    write("source", "new")
    with pytest.raises(DriveNameClash, match="are the same on macOS or Windows") as caught:
        drive.put("source", to=other)
    assert isinstance(caught.value, (DriveExists, FileExistsError))
    assert drive.list(recursive=True) == [one]
    drive.put("source", to=one)
    with drive.open(one) as file:
        assert file.read() == "new"
    drive.delete(one.partition("/")[0])
    drive.put("source", to=other)
    assert drive.list(recursive=True) == [other]


@pytest.mark.parametrize("move", [False, True])
def test_a_folder_with_two_forms_of_a_name_is_refused(drive: Drive, move: bool):
    write("folder/x/Straße")
    write("folder/x/strasse")
    with pytest.raises(DriveNameClash, match="'x'"):
        drive.put("folder", move=move)
    assert drive.list() == []
    assert sorted(os.listdir("folder/x")) == ["Straße", "strasse"]


def test_two_unicode_forms_of_an_accent_are_one_name(own_place: Path):
    write("source")
    Drive("lit://d", portable_names=False).put("source", to=DECOMPOSED)
    with pytest.raises(DriveNameClash):
        Drive("lit://d").put("source", to=COMPOSED)


def test_an_existing_file_is_replaced_without_listing_its_folder(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
):
    write("source")
    drive.put("source", to="Models/best.bin")
    listed: list[str] = []

    def listdir(path: str) -> list[str]:
        listed.append(Path(path).name)
        return os.listdir(path)

    monkeypatch.setattr(syscalls, "listdir", listdir)

    drive.put("source", to="Models/best.bin")
    assert "Models" not in listed
    with pytest.raises(DriveNameClash):
        drive.put("source", to="Models/BEST.bin")
    assert "Models" in listed


def test_names_that_differ_in_more_than_case_and_unicode_form_are_allowed(drive: Drive):
    for name in ("1", "2", "a", "b", "A1", "ä", "o", "ö", "l", "\u0131"):
        write("source")
        drive.put("source", to=name)
    assert len(drive.list()) == 10


def test_names_that_differ_only_in_case_can_be_allowed(own_place: Path):
    drive = Drive("lit://d", portable_names=False)
    write("folder/File")
    write("folder/file")
    drive.put("folder")
    drive.put("folder/file", to="Folder/x")
    assert drive.list(recursive=True) == ["Folder/x", "folder/File", "folder/file"]


def test_names_of_other_components_are_compared_unless_duplicates_are_allowed(drive: Drive):
    write("source")
    drive.put("source", to="File")
    with pytest.raises(DriveNameClash):
        Drive("lit://d", component_name="other").put("source", to="file")
    Drive("lit://d", component_name="other", allow_duplicates=True).put("source", to="file")
    assert drive.list() == ["File", "file"]


def test_one_of_two_forms_that_are_put_at_the_same_time_is_stored(quick_drive: Drive):
    write("source")

    def compete(spelling: str) -> None:
        for turn in range(30):
            races.meet("start", turn, 3)
            try:
                quick_drive.put("source", to=f"{turn}-{spelling}")
            except DriveNameClash:
                continue

    races.together(*(lambda spelling=spelling: compete(spelling) for spelling in ("File", "file", "FILE")))
    names = quick_drive.list()
    assert sorted({name.partition("-")[0] for name in names}, key=int) == [str(turn) for turn in range(30)]
    assert len(names) == 30
