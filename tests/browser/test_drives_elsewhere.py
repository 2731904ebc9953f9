"""The views of drives in a browser, with drives on an object store."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from lightning_lite.storage import Drive

from tests.browser.tabs import Tab
from tests.support.files import write
from tests.support.page_servers import serving


def test_drives_of_an_object_store_are_shown_with_their_place_and_their_files(
    visit: Callable[..., Tab], remote_place: str
):
    write("deep/report.txt", "accuracy 0.93")
    Drive("lit://models").put("deep")

    with serving() as server:
        tab = visit(server, "/drives")
        drives = tab.view("drives")
        expect(drives.locator("[data-place]")).to_have_text(f"in {remote_place}")
        expect(drives).to_contain_text("13 B")
        drives.get_by_text("lit://models").click()
        tab.page.get_by_text("deep").first.click()
        tab.page.get_by_text("report.txt").first.click()
        expect(tab.page.get_by_text("accuracy 0.93")).to_be_visible()
