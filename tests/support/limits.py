"""Limits of the resources of this process, for a block."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


@contextmanager
def limited(kind: int, amount: int) -> Iterator[None]:
    """Limit a resource in a block.

    Args:
        kind: A constant of `resource`, such as `RLIMIT_FSIZE`.
        amount: The limit, in the unit of the resource.
    """
    limits = resource.getrlimit(kind)
    resource.setrlimit(kind, (amount, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, limits)


@contextmanager
def little_memory(nbytes: int = 128 * 1024 * 1024) -> Iterator[None]:
    """Let a block fail with `MemoryError` if it takes more memory; only Linux has such a limit."""
    if sys.platform != "linux":
        yield
        return
    with limited(resource.RLIMIT_AS, psutil.Process().memory_info().vms + nbytes):
        yield
