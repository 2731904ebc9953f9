"""Names that no drive accepts: the right error, on one line, before anything changes."""

from __future__ import annotations

import os
import pickle
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveError, DriveIdError, DrivePathError, DriveTypeError

TOP = [".", "./", "./."]
EMPTY = ["", " ", *TOP]
NO_TEXT = [None, 3, b"x", 1.5]
ABSOLUTE = ["/etc/passwd", "//x", "/"]
UP = ["..", "../x", "a/../../x", "a/..", "a/../b", "..//x", "./../x", "../d2/x", "a/b/../../.."]
CONTROL = [
    "x\0y",
    "\0",
    "a\nb",
    "a\tb",
    "a\rb",
    "\x1b[2J",
    "\x7f",
    "\x9b31m",
    "\udc80",
    "\ud800",
    "a\u202eb",
    "a\u2028b",
]
LONG = ["x" * 256, "é" * 128, "/".join(["x" * 200] * 11), "/".join(["x"] * 300), "/".join(["abc"] * 1100)]
UNPORTABLE = [
    "a\\b",
    "C:\\x",
    "C:x",
    "\\\\host\\share",
    "CON",
    "nul.txt",
    "aux",
    "com1",
    "x.",
    "x ",
    "a:b",
    'a"b',
    "a<b",
    "e\u0301",
]
RESERVED = [".lightning_lite", "a/.lightning_lite", ".lightning_lite/x"]

BAD = [
    (name, DrivePathError)
    for names in (EMPTY, ABSOLUTE, UP, CONTROL, LONG, UNPORTABLE, RESERVED)
    for name in names
]
BAD += [(name, DriveTypeError) for name in NO_TEXT]

VERBS = {
    "put": lambda drive, name: drive.put(name),
    "put to": lambda drive, name: drive.put("good", to=name),
    "get": lambda drive, name: drive.get(name),
    "get to": lambda drive, name: drive.get("good", to=name),
    "get and wait": lambda drive, name: drive.get(name, timeout=30),
    "delete": lambda drive, name: drive.delete(name),
    "list": lambda drive, name: drive.list(name),
    "entries": lambda drive, name: drive.entries(name),
    "exists": lambda drive, name: drive.exists(name),
    "open": lambda drive, name: drive.open(name),
}


def tree(folder: str | Path) -> dict[str, object]:
    return {
        str(path): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in Path(folder).rglob("*")
    }


def is_clear(error: DriveError) -> bool:
    text = str(error)
    return "\n" not in text and text.isprintable() and len(text) < 700 and text != ""


@pytest.fixture
def used(drive: Drive) -> Drive:
    Path("good").write_text("good")
    drive.put("good")
    return drive


@pytest.mark.parametrize("verb", VERBS)
def test_each_bad_name_is_refused_by_each_verb_before_anything_changes(
    used: Drive, own_place: Path, verb: str
):
    before = tree(own_place.parent)
    for name, kind in BAD:
        if (name in EMPTY and verb in ("list", "entries")) and name != " ":
            continue
        if name in (None, *TOP) and verb.endswith(" to"):
            continue
        with pytest.raises(kind) as caught:
            VERBS[verb](used, name)
        assert is_clear(caught.value), (name, str(caught.value))
        assert isinstance(caught.value, (ValueError, TypeError))
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert tree(own_place.parent) == before
    assert Path(used.get("good", to="again")).read_text() == "good"


@pytest.mark.parametrize(
    "name", ["~/x", "$HOME/x", "%2e%2e/x", "a;b", "été", "日本語", "a b", "-rf", "x" * 255, "...a", "👩‍👩‍👧"]
)
def test_unusual_names_are_allowed(drive: Drive, name: str):
    Path("good").write_text("good")
    drive.put("good", to=name)
    assert drive.list(recursive=True) == [name]
    assert Path(drive.get(name, to="again")).read_text() == "good"
    drive.delete(name)
    assert drive.list(recursive=True) == []


@pytest.mark.parametrize("name", [name for name in UNPORTABLE if name != "x "])
def test_names_that_windows_does_not_allow_can_be_allowed(own_place: Path, name: str):
    drive = Drive("lit://d", portable_names=False)
    Path("good").write_text("good")
    drive.put("good", to=name)
    assert drive.list() == [name]
    assert drive.get(name, to="again")


@pytest.mark.parametrize("name", ["con", "a:b", "new\nline", "x\x1b", ".lightning_lite", "\udc80"])
def test_a_folder_that_contains_a_bad_name_is_refused(drive: Drive, name: str):
    os.mkdir("folder")
    Path("folder/good").write_text("good")
    Path("folder", name).write_text("bad")
    with pytest.raises(DrivePathError) as caught:
        drive.put("folder")
    assert is_clear(caught.value)
    assert drive.list() == []


def test_a_folder_that_is_too_deep_is_refused(drive: Drive):
    deep = Path("folder")
    for _ in range(110):
        deep /= "d"
    deep.mkdir(parents=True)
    with pytest.raises(DrivePathError, match="the limit is 100"):
        drive.put("folder")
    assert drive.list() == []
    long = Path("long", *["x" * 250] * 12)
    os.makedirs(long)
    with pytest.raises(DrivePathError, match="longer than 2048 bytes"):
        drive.put("long")


@pytest.mark.parametrize(
    ("id_", "kind", "words"),
    [
        ("", DriveIdError, "needs to start with one of the following protocols"),
        ("models", DriveIdError, "Unknown protocol for the drive 'id' argument 'models'"),
        ("LIT://x", DriveIdError, "Unknown protocol"),
        ("s3://x", DriveIdError, "Using S3 buckets in a Drive is no longer supported"),
        ("lit://a/b", DriveIdError, "The id should be unique to identify your drive. Found `a/b`. It has"),
        ("lit://", DriveIdError, "allowed characters"),
        ("lit://..", DriveIdError, "allowed characters"),
        ("lit://.", DriveIdError, "allowed characters"),
        ("lit://.hidden", DriveIdError, "allowed characters"),
        ("lit://a\0", DriveIdError, "allowed characters"),
        ("lit://a b", DriveIdError, "allowed characters"),
        ("lit://a\nb", DriveIdError, "allowed characters"),
        ("lit://" + "x" * 300, DriveIdError, "at most 128"),
        (None, DriveTypeError, "must be a str"),
        (3, DriveTypeError, "must be a str"),
    ],
)
def test_a_wrong_id_is_refused_when_the_drive_is_made(id_, kind, words):
    with pytest.raises(kind, match=words) as caught:
        Drive(id_)
    assert is_clear(caught.value)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "/", "a\0b", "a\nb", "x" * 256, ".lightning_lite", " ", 3, b"x"]
)
def test_a_wrong_component_name_is_refused_when_the_drive_is_made_and_by_each_verb(used: Drive, name):
    with pytest.raises((DrivePathError, DriveTypeError)):
        Drive("lit://d", component_name=name)
    for verb in (used.list, used.entries):
        with pytest.raises((DrivePathError, DriveTypeError)):
            verb(component_name=name)
    for one in (used.get, used.exists, used.open):
        with pytest.raises((DrivePathError, DriveTypeError)):
            one("good", component_name=name)


COMMON = "/.\\:*?[]~$% \0\n\t\x1b\u202e'\"-_aA0é"
ALPHABET = st.one_of(
    st.sampled_from(COMMON),
    st.characters(),
    st.sampled_from(["..", "../", "//", "./"]),
)
ANY_NAME = st.lists(ALPHABET, max_size=30).map("".join)


def nothing_escapes(names: list[str], place: Path) -> None:
    canary = tree(place / "canary")
    drive = Drive("lit://d", root_dir=place / "root", root_folder=place / "files")
    for name in names:
        try_out(drive, name)
    assert tree(place / "canary") == canary
    assert set(os.listdir(place)) == {"root", "files", "canary"}
    assert set(os.listdir(place / "root")) <= {"drives"}
    if (place / "root/drives").exists():
        assert os.listdir(place / "root/drives") == ["d"]
        assert set(os.listdir(place / "root/drives/d")) <= {"main", ".lightning_lite"}


def try_out(drive: Drive, name: str) -> None:
    for words, verb in VERBS.items():
        if words == "get and wait":
            continue  # a wait of an hour for a path that never arrives
        try:
            file = verb(drive, name)
            if words == "open":
                file.close()
        except DriveError as error:
            assert is_clear(error), (name, str(error))  # noqa: PT017 - none is fine as well


@pytest.fixture
def guarded_place(quick_place: Path) -> Path:
    for folder in ("canary", "files", "root"):
        (quick_place / folder).mkdir()
    (quick_place / "canary/x").write_text("alive")
    (quick_place / "files/good").write_text("good")
    return quick_place


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=ANY_NAME)
def test_no_generated_name_leaves_the_drive(guarded_place: Path, name: str):
    nothing_escapes([name], guarded_place)


@pytest.mark.torture
def test_none_of_thirty_thousand_generated_names_leaves_the_drive(guarded_place: Path):
    random_ = random.Random(0)  # Hypothesis would take three times as long
    pieces = [
        *COMMON,
        "..",
        "../",
        "//",
        "./",
        *map(chr, range(0x20, 0x250)),
        "\ud800",
        "\u202e",
        "\U0010ffff",
    ]
    for _ in range(30):
        names = ["".join(random_.choices(pieces, k=random_.randrange(12))) for _ in range(1000)]
        nothing_escapes(names, guarded_place)
        for folder in ("root", "files"):
            shutil.rmtree(guarded_place / folder)
            (guarded_place / folder).mkdir()
        (guarded_place / "files/good").write_text("good")
