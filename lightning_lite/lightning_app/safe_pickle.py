"""Pickles a work for another work or script, with its class if the class is of a script."""

from __future__ import annotations

import copy
import pickle
from typing import IO, Any, TypeVar

import cloudpickle

from lightning_lite.tree.work import LightningWork

W = TypeVar("W", bound=LightningWork)


def get_picklable_work(work: W) -> W:
    """Return a copy of a work, with its attributes and without its calls and its place in a tree.

    Args:
        work: The work, in its own process or in the flow.
    """
    return copy.copy(work)


def dump(work: LightningWork, f: IO[bytes]) -> None:
    """Write a work to a file that `load` and `pickle.load` read.

    Args:
        work: The work, in its own process or in the flow.
        f: The file, open for writing of bytes.

    Example:
        >>> import io
        >>> from lightning_lite.testing import EmptyWork
        >>> file = io.BytesIO()
        >>> dump(EmptyWork(parallel=True), file)
        >>> _ = file.seek(0)
        >>> load(file).parallel
        True
    """
    cloudpickle.dump(get_picklable_work(work), f)


def load(f: IO[bytes]) -> Any:
    """Return the work in a file; the file may execute any code, so its writer has to be trusted."""
    return pickle.load(f)
