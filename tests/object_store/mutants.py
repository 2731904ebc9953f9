"""Drives on an object store with one of their mechanisms left out: the tests have to refuse each one.

The functions change the code of one process. `writers.py` calls the one that the environment names.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lightning_lite.storage.base import Parts
from lightning_lite.storage.errors import DriveUnreachable
from lightning_lite.storage.object_store.client import Client, SwapResult
from lightning_lite.storage.object_store.condition_probe import Conditions
from lightning_lite.storage.object_store.manifest import Manifest, Node
from lightning_lite.storage.object_store.store import ObjectStore

#: Names the mutant in the processes that `together` starts.
VARIABLE = "LIGHTNING_LITE_TEST_MUTANT"


def without_conditions(patch: pytest.MonkeyPatch) -> None:
    """Write manifests whether or not another process has changed them."""

    def swap(client: Client, key: str, body: bytes, tag: str | None) -> SwapResult:
        client.upload(key, body, len(body))
        return SwapResult.DONE

    patch.setattr(Client, "swap", swap)
    patch.setattr(Conditions, "check", lambda conditions: None)


def without_marks(patch: pytest.MonkeyPatch) -> None:
    """Make a change again that was made, if only its answer was lost."""
    patch.setattr(Manifest, "has", lambda manifest, mark: False)


def believing_refusals(patch: pytest.MonkeyPatch) -> None:
    """Report that a change has failed if the store says that the condition did not hold."""
    real = Client.swap

    def swap(client: Client, key: str, body: bytes, tag: str | None) -> SwapResult:
        result = real(client, key, body, tag)
        if result is SwapResult.REFUSED and "/top/" in key:
            raise DriveUnreachable("The mutant believes that the change was not made.")
        return result

    patch.setattr(Client, "swap", swap)


def with_the_local_clock(patch: pytest.MonkeyPatch) -> None:
    """Measure the age of objects by the clock of this machine."""
    patch.setattr(Client, "now", lambda client, prefix: datetime.now(UTC))


def reading_two_versions(patch: pytest.MonkeyPatch) -> None:
    """Take the second half of a folder from a second look at the manifest."""
    real = ObjectStore._find

    def find(store: ObjectStore, parts: Parts, owner: str | None) -> Node:
        one, other = real(store, parts, owner), real(store, parts, owner)
        half = sorted(one["d"])[len(one["d"]) // 2 :]
        return {**one, "d": {**one["d"], **{name: other["d"][name] for name in half}}}

    patch.setattr(ObjectStore, "_find", find)
