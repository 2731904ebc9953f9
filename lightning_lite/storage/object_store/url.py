"""The address of a place for drives in an object store, with the error of drives."""

from __future__ import annotations

from lightning_lite import store_url
from lightning_lite.storage.errors import DriveUrlError
from lightning_lite.store_url import StoreUrl


def parse_url(text: str) -> StoreUrl:
    """Return bucket and prefix of an address.

    Args:
        text: `s3://bucket` or `s3://bucket/prefix`.

    Raises:
        DriveUrlError: It is no address of an object store, or of one that is not supported.
    """
    try:
        return store_url.parse(text)
    except store_url.InvalidUrl as error:
        raise DriveUrlError(str(error)) from None
