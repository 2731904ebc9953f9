"""The address of a place for drives in an object store: `s3://bucket/prefix`."""

from __future__ import annotations

import re
from typing import NamedTuple

from lightning_lite.storage.errors import DriveUrlError, shown

#: How the address of an object store begins.
SCHEME = "s3://"

#: Maximum number of characters of a prefix: a key has at most 1024 bytes, and names need the rest.
MAX_PREFIX = 200

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PART = re.compile(r"[A-Za-z0-9._=-]+")

#: Stores whose conditional requests have never been tested with this package.
_OTHERS = {"gs": "Google Cloud Storage", "gcs": "Google Cloud Storage", "az": "Azure", "azure": "Azure"}

_SHAPE = "write it as s3://bucket or s3://bucket/prefix"


class StoreUrl(NamedTuple):
    """A bucket and the folder in it that holds drives.

    Attributes:
        bucket: Name of the bucket.
        prefix: Path in the bucket, "" for its top.
    """

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}" if self.prefix else f"{SCHEME}{self.bucket}"

    def key(self, *parts: str) -> str:
        """Return the key of an object below the prefix."""
        return "/".join((self.prefix, *parts) if self.prefix else parts)


def parse_url(text: str) -> StoreUrl:
    """Return bucket and prefix of an address.

    Args:
        text: `s3://bucket` or `s3://bucket/prefix`.

    Raises:
        DriveUrlError: It is no address of an object store, or of one that is not supported.

    Example:
        >>> parse_url("s3://drives/team/one/")
        StoreUrl(bucket='drives', prefix='team/one')
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise DriveUrlError(f"{shown(text)} is no address of an object store; {_SHAPE}.")
    if scheme in _OTHERS:
        raise DriveUrlError(
            f"{_OTHERS[scheme]} ({scheme}://) is not supported, only the interface of S3; {_SHAPE}."
        )
    if scheme != "s3":
        raise DriveUrlError(f"{shown(scheme + '://')} is no kind of object store; {_SHAPE}.")
    if "@" in rest:  # the text may have a secret in it, so it is not shown
        raise DriveUrlError(
            "An address of an object store contains no user and no keys: set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY in the environment, and {_SHAPE}."
        )
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise DriveUrlError(f"{shown(text)} has no valid name of a bucket; {_SHAPE}.")
    prefix = prefix.rstrip("/")
    for part in prefix.split("/") if prefix else ():
        if part in (".", "..") or not _PART.fullmatch(part):
            raise DriveUrlError(
                f"{shown(text)} has the part {shown(part)} in its prefix; use letters, digits, '-', '_', '.' "
                f"and '=' only."
            )
    if len(prefix) > MAX_PREFIX:
        raise DriveUrlError(
            f"The prefix in {shown(text)} has {len(prefix)} characters, the limit is {MAX_PREFIX}."
        )
    return StoreUrl(bucket, prefix)
