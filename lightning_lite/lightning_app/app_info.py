"""`AppInfo`, the description of an app that the page of Lightning App showed."""

from __future__ import annotations

from typing import NamedTuple


class AppInfo(NamedTuple):
    """Title, description and other facts for the page of a Lightning App; stored, without effect.

    Attributes:
        title: Title of the page.
        favicon: Address of its icon.
        description: One or two sentences.
        image: Address of a picture.
        meta_tags: Lines for the head of the page.
        on_connect_end: Text for those who connect to the app.
    """

    title: str | None = None
    favicon: str | None = None
    description: str | None = None
    image: str | None = None
    meta_tags: list[str] | None = None
    on_connect_end: str | None = None
