"""How an object store is reached: its address; endpoint, region and keys from the usual variables.

Keys are read each time that a connection is made, and are given to the library only. They are in no value
that this package pickles, shows or writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from lightning_lite import store_url
from lightning_lite.sockets import is_loopback
from lightning_lite.storage.errors import DrivePermissionError, DriveUrlError, shown
from lightning_lite.store_url import StoreUrl

#: Allows to ask the address at which a machine of a cloud gives keys to everything that runs on it.
INSTANCE_ROLE_VARIABLE = "LIGHTNING_LITE_INSTANCE_ROLE"

_YES = frozenset({"1", "true", "yes", "on"})

#: Variables that name another source of keys, which the library asks: a container, or a file with a token.
_OTHER_SOURCES = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


class Connection(NamedTuple):
    """How a store is reached, without its keys.

    Attributes:
        endpoint: Address of the server, "" for AWS.
        region: Region of the bucket.
        allows_http: Whether requests may be sent without TLS.
        uses_host_names: Whether the bucket is a part of the name of the host, as AWS has it.
    """

    endpoint: str
    region: str
    allows_http: bool
    uses_host_names: bool

    @property
    def place(self) -> str:
        """The server, for errors."""
        return self.endpoint or f"AWS in {self.region}"


def connection_from(environment: Mapping[str, str] = os.environ) -> Connection:
    """Return how the store is reached, as the variables say.

    Args:
        environment: The variables.

    Raises:
        DriveUrlError: The endpoint is not an address, or one without TLS that is not on this machine.

    Example:
        >>> connection_from({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}).region
        'us-east-1'
    """
    variable = "AWS_ENDPOINT_URL_S3" if environment.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    endpoint = environment.get(variable, "").rstrip("/")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    style = environment.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower()
    if not endpoint:
        return Connection("", region, allows_http=False, uses_host_names=style not in ("0", "false"))
    parts = urlsplit(endpoint)
    if parts.username or parts.password:  # not shown, because it is a secret
        raise DriveUrlError(f"{variable} contains a user or a password; use the variables for keys instead.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise DriveUrlError(
            f"{variable} is {shown(endpoint)}; write it as https://host or https://host:port."
        )
    allows_http = environment.get("AWS_ALLOW_HTTP", "").lower() in _YES
    if parts.scheme == "http" and not allows_http and not is_loopback(parts.hostname or ""):
        raise DriveUrlError(
            f"{variable} is {shown(endpoint)}, and files would be sent without encryption; use https, or set "
            f"AWS_ALLOW_HTTP=true if the network is your own."
        )
    return Connection(
        endpoint, region, allows_http=parts.scheme == "http", uses_host_names=style in _YES and not parts.port
    )


def check_keys(environment: Mapping[str, str] = os.environ) -> None:
    """Refuse to continue without keys: the library would ask an address of the network for them.

    Raises:
        DrivePermissionError: No variable says which keys to use.
    """
    if environment.get("AWS_SKIP_SIGNATURE", "").lower() in _YES:
        return
    if any(environment.get(name) for name in _OTHER_SOURCES):
        return
    if environment.get(INSTANCE_ROLE_VARIABLE, "").lower() in _YES:
        return
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not environment.get(name)]
    if missing:
        raise DrivePermissionError(
            f"No keys for the object store: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            f"not set in the environment of this process; set both, or on a machine of a cloud that gives "
            f"keys to its programs {INSTANCE_ROLE_VARIABLE}=1."
        )


def parse_url(text: str) -> StoreUrl:
    """Return bucket and prefix of an address.

    Args:
        text: `s3://bucket` or `s3://bucket/prefix`.

    Raises:
        DriveUrlError: It is not the address of an object store, or of one that is not supported.
    """
    try:
        return store_url.parse(text)
    except store_url.InvalidUrl as error:
        raise DriveUrlError(str(error)) from None
