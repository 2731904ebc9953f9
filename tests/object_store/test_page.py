"""The page's views of drives, with drives on an object store."""

from __future__ import annotations

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.monitor.call_details import find_files
from lightning_lite.monitor.drive_contents import DriveContents
from lightning_lite.storage import Drive, FileSystem
from lightning_lite.storage.errors import DriveNotFound
from lightning_lite.testing import poll_until

from tests.support.files import write
from tests.support.object_stores import ObjectServer
from tests.support.page_servers import serving

pytestmark = pytest.mark.dependencies


@pytest.fixture
def filled(remote_place: str) -> str:
    """Put some files, and return the url."""
    for name in ("a.txt", "b.csv", "deep/er/c.txt"):
        write(name, "x,y\n1,2\n")
        Drive("lit://models").put(name)
    with acting_as(Caller("work", "root.train")):
        Drive("lit://models", allow_duplicates=True).put("a.txt")
    FileSystem().put("a.txt", "/shared.txt")
    return remote_place


def test_drives_folders_files_and_previews_are_shown(filled: str):
    contents = DriveContents(filled)

    # One answer counts for a short time only, and the next one continues.
    poll_until(lambda: {one.id for one in contents.drives().drives if one.entries} >= {"models", "@files"})

    models, _ = contents.drives().drives
    assert (models.id, models.entries, models.size, models.trouble) == ("models", 4, 32, None)
    assert models.components == ("main", "root.train")
    page = contents.folder("models", limit=2)
    assert [(entry.name, entry.component) for entry in page.entries] == [
        ("a.txt", "main"),
        ("a.txt", "root.train"),
    ]
    assert (page.total, page.more) == (4, True)
    rest = contents.folder("models", after=page.next)
    assert [(entry.name, entry.kind) for entry in rest.entries] == [("b.csv", "file"), ("deep", "folder")]
    with contents.open("models", "deep/er/c.txt").file as file:
        assert file.read() == b"x,y\n1,2\n"
    assert contents.preview("models", "b.csv").size == 8
    with pytest.raises(DriveNotFound, match="no drive 'other' in this root"):
        contents.folder("other")
    with pytest.raises(DriveNotFound, match="not in the drive 'models'"):
        contents.folder("models", "nothing")


def test_a_store_that_does_not_answer_is_a_sentence_on_the_page(
    filled: str, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    found = DriveContents(filled).drives()

    assert found.drives == []
    assert "AWS_SECRET_ACCESS_KEY is not set" in str(found.trouble)


def test_the_files_of_a_call_are_not_looked_for_and_the_answer_says_that_some_may_be_missing(filled: str):
    assert find_files(filled, "root.train", 0.0, None) == ([], False)


def test_the_server_of_the_page_shows_the_store(filled: str, tmp_path):
    with serving("--drives", filled, LIGHTNING_LITE_DRIVES="") as server:
        assert server.get("/api/server").data["drives"] == filled
        drives = poll_until(
            lambda: [one for one in server.get("/api/drives").data["drives"] if one["entries"]]
        )
        assert drives[0]["id"] == "models"
        assert server.get("/api/drives/models").data["total"] == 4
        preview = server.get("/api/drives/models/preview?path=a.txt&component=main").data
        assert preview["size"] == 8
