"""The address of a place for drives in an object store, `s3://bucket/prefix`: its only grammar."""

from __future__ import annotations

from typing import NamedTuple, TypeGuard

#: How the address of an object store begins.
SCHEME = "s3://"

#: The separator between the scheme of a url and the rest.
SCHEME_END = "://"

#: Precedes the folder of all drives in a work whose machine does not see that folder.
UNSEEN = "unseen:"

#: What to do about such a machine, in errors.
PLACE_FOR_ALL_MACHINES = (
    "They need a folder that all machines see (root_dir= or drives= of the app), or an object store "
    "(drives='s3://bucket/prefix', also if each drive names a store by its root_dir)"
)

#: Maximum number of characters of a prefix: a key has at most 1024 bytes, and names need the rest.
MAX_PREFIX = 200

#: Maximum number of characters of the name of a bucket.
_MAX_BUCKET = 255

_LETTERS_AND_DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_OF_BUCKETS = _LETTERS_AND_DIGITS | frozenset("._-")
_OF_PREFIXES = _OF_BUCKETS | frozenset("=")

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


class InvalidUrl(ValueError):
    """A text is not the address of an object store; the message says why, and has no secret in it."""


def has_scheme(text: str) -> bool:
    """Return whether a text is a url, of an object store or not, and no path of a folder.

    Example:
        >>> has_scheme("s3://bucket"), has_scheme("/data/a://b"), has_scheme("./a://b")
        (True, False, False)
    """
    scheme, separator, _ = text.partition(SCHEME_END)
    return separator != "" and "/" not in scheme


def is_url(place: object) -> TypeGuard[str]:
    """Return whether a place of drives is a url, not a folder.

    Example:
        >>> is_url("s3://bucket/prefix"), is_url("/data/a://b")
        (True, False)
    """
    return isinstance(place, str) and has_scheme(place)


def parse(text: str) -> StoreUrl:
    """Return bucket and prefix of an address.

    Args:
        text: `s3://bucket` or `s3://bucket/prefix`.

    Raises:
        InvalidUrl: It is not the address of an object store, or of one that is not supported.

    Example:
        >>> parse("s3://drives/team/one/")
        StoreUrl(bucket='drives', prefix='team/one')
    """
    scheme, _, rest = text.partition(SCHEME_END)
    if not has_scheme(text):
        raise InvalidUrl(f"{_shown(text)} is not the address of an object store; {_SHAPE}.")
    if scheme in _OTHERS:
        raise InvalidUrl(
            f"{_OTHERS[scheme]} ({scheme}://) is not supported, only the interface of S3; {_SHAPE}."
        )
    if scheme + SCHEME_END != SCHEME:
        raise InvalidUrl(f"{_shown(scheme + SCHEME_END)} is not a supported scheme; {_SHAPE}.")
    if "@" in rest:  # the text may have a secret in it, so it is not shown
        raise InvalidUrl(
            "An address of an object store contains no user and no keys: set AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY in the environment, and {_SHAPE}."
        )
    bucket, _, prefix = rest.partition("/")
    if not (
        2 <= len(bucket) <= _MAX_BUCKET
        and bucket[0] in _LETTERS_AND_DIGITS
        and _OF_BUCKETS.issuperset(bucket)
    ):
        raise InvalidUrl(f"{_shown(text)} has no valid name of a bucket; {_SHAPE}.")
    prefix = prefix.rstrip("/")
    for part in prefix.split("/") if prefix else ():
        if part in ("", ".", "..") or not _OF_PREFIXES.issuperset(part):
            raise InvalidUrl(
                f"{_shown(text)} has the part {_shown(part)} in its prefix; use letters, digits, '-', '_', "
                "'.' and '=' only."
            )
    if len(prefix) > MAX_PREFIX:
        raise InvalidUrl(
            f"The prefix in {_shown(text)} has {len(prefix)} characters, the limit is {MAX_PREFIX}."
        )
    return StoreUrl(bucket, prefix)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _MAX_BUCKET else f"{text[:_MAX_BUCKET]!r}..."
