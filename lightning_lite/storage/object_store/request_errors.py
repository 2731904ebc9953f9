"""The answer of an object store to a request that failed, and the error of drives for it.

The library gives one text with the answer of the server in it. Only the status, the code and the kind of a
failure are taken from that text: the rest may contain keys.
"""

from __future__ import annotations

import errno
import re
from typing import NamedTuple

from lightning_lite.storage.errors import DriveOSError, DrivePermissionError, DriveUnreachable
from lightning_lite.storage.object_store.connection import INSTANCE_ROLE_VARIABLE, Connection
from lightning_lite.store_url import StoreUrl

_STATUS = re.compile(r"status(?: code)?: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_KIND = re.compile(r"kind: (Connect|Timeout|Interrupted|Request|Decode|Body)\b")
_OTHER_PROTOCOL = re.compile(r"hyper::Error\(\s*Parse\b")
_OTHER_FORMAT = re.compile(r"source: (?:Metadata|NotPartial|Invalid\w+Response)\b|kind: Redirect\b")
_FOR_KEYS = re.compile(r"Error performing \w+ \S+/latest/(?:api/token|meta-data/)")
_BAD_KEYS = {
    "InvalidAccessKeyId": "it does not know the key in AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the key in AWS_SECRET_ACCESS_KEY is wrong",
    "ExpiredToken": "the keys have expired; set new ones",
    "ExpiredTokenException": "the keys have expired; set new ones",
    "TokenRefreshRequired": "the keys have expired; set new ones",
    "InvalidToken": "the text in AWS_SESSION_TOKEN is wrong",
    "InvalidClientTokenId": "it does not know the keys",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
}
_OTHER_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
#: Answers below 500 that may have no code of S3: redirects, and refusals of a proxy for time, rate or size.
_WITHOUT_CODE = frozenset({301, 307, 408, 411, 413, 414, 429, 431})

_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "EntityTooLarge"})


class Answer(NamedTuple):
    """The answer to a request that failed.

    Attributes:
        status: Number of the answer of the server, 0 if it gave none.
        code: The word of S3 for the error, "" if there is none.
        kind: The part of the connection that failed, "" if the server has answered. `Protocol`: the answer is
            not HTTP. `Format`: the request succeeded, but the answer is not one of S3. `Closed`: the server
            has never answered, and closed the connection each time. `Keys`: the cloud gave no keys to this
            machine, so the server was not asked.
    """

    status: int
    code: str
    kind: str

    @property
    def is_missing(self) -> bool:
        """Whether no object has the key."""
        return self.status == 404 and self.code != "NoSuchBucket"

    @property
    def is_refused(self) -> bool:
        """Whether a condition did not hold, or another request of the same key was on its way."""
        return self.status in (409, 412) and self.code != "NoSuchBucket"

    @property
    def is_unknown(self) -> bool:
        """Whether the request may have been carried out, or may be if it is repeated."""
        if not self.status:
            return self.kind != "Connect"
        return self.status in (408, 429) or (self.status >= 500 and self.status not in (501, 505, 507))

    @property
    def is_foreign(self) -> bool:
        """Whether the server is no object store: each refusal of one has a code.

        A proxy in front of an object store may answer 5xx without a code, while the store restarts, or refuse
        a request for its size. The library does not read the code of 301 or 307.
        """
        if not self.status:
            return self.kind in ("Protocol", "Format", "Closed")
        return 300 <= self.status < 500 and not self.code and self.status not in _WITHOUT_CODE

    def error(self, operation: str, url: StoreUrl, connection: Connection) -> DriveOSError:
        """Return the error of drives.

        Args:
            operation: The operation that was asked for, as a verb.
            url: Bucket and prefix.
            connection: How the store is reached.
        """
        place = connection.place
        if self.kind == "Keys":
            return DrivePermissionError(
                f"The cloud gave this machine no keys for {url}, which {INSTANCE_ROLE_VARIABLE} asks for; "
                f"give it a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
                errno=errno.EACCES,
            )
        if self.is_foreign:
            return DriveUnreachable(
                f"No object store answers at {place}, where {url} should be: {self._foreign_text}; correct "
                f"AWS_ENDPOINT_URL (http or https, the port of the API and not of the console), or sign in "
                f"to the network.",
                errno=errno.EPROTO,
            )
        if self.code == "NoSuchBucket":
            return DriveUnreachable(
                f"The bucket {url.bucket!r} does not exist at {place}; create it, or correct the address.",
                errno=errno.ENOENT,
            )
        if self.code in _OTHER_REGION or self.status in (301, 307):
            return DriveUnreachable(
                f"The bucket {url.bucket!r} is not in the region {connection.region!r} of {place}; set "
                f"AWS_REGION to its region.",
                errno=errno.EHOSTUNREACH,
            )
        if self.code in _BAD_KEYS:
            return DrivePermissionError(
                f"The object store at {place} refused to {operation} in {url}: {_BAD_KEYS[self.code]}.",
                errno=errno.EACCES,
            )
        if self.status in (401, 403):
            return DrivePermissionError(
                f"The object store at {place} refused to {operation} in {url} with these keys "
                f"({self._text}); give them the permission, or use others.",
                errno=errno.EACCES,
            )
        if self.code in _FULL or self.status == 507:
            return DriveOSError(
                f"The object store at {place} has no room for that in {url} ({self._text}).",
                errno=errno.ENOSPC,
            )
        if self.kind == "Connect":
            return DriveUnreachable(
                f"Nothing answers at {place}, where {url} should be; start the object store, or correct "
                f"AWS_ENDPOINT_URL.",
                errno=errno.ECONNREFUSED,
            )
        if self.is_unknown:
            return DriveUnreachable(
                f"The object store at {place} did not {operation} in {url} in time ({self._text}); do it "
                f"again later.",
                errno=errno.ETIMEDOUT,
            )
        return DriveOSError(
            f"The object store at {place} refused to {operation} in {url} ({self._text}).", errno=errno.EIO
        )

    @property
    def _foreign_text(self) -> str:
        if self.status:
            return f"the answer {self.status} has no error code of S3"
        return {
            "Protocol": "the answer is not HTTP",
            "Closed": "the connection is closed without an answer",
        }.get(self.kind, "the answer is not one of S3")

    @property
    def _text(self) -> str:
        if self.status:
            return f"{self.status} {self.code}".rstrip()
        return {"Timeout": "no answer", "Interrupted": "the connection was cut"}.get(self.kind, "no answer")


def answer_of(error: BaseException) -> Answer:
    """Return the answer of the server, from an error of the library."""
    text = str(error)
    if _FOR_KEYS.search(text):
        return Answer(0, "", "Keys")
    status, code = _STATUS.search(text), _CODE.search(text)
    return Answer(
        int(status[1]) if status else (404 if isinstance(error, FileNotFoundError) else 0),
        code[1] if code else "",
        "" if status else _kind(text),
    )


def _kind(text: str) -> str:
    if _OTHER_PROTOCOL.search(text):
        return "Protocol"
    if kind := _KIND.search(text):
        return kind[1]
    return "Format" if _OTHER_FORMAT.search(text) else ""
