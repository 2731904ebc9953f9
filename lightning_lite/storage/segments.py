"""A `pathlib.Path` that may be subclassed alike on every Python: what it derives is made by `with_segments`.

Since Python 3.12 pathlib asks that method itself. Before, its paths were made by two class methods.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import PosixPath
from typing import Any, Self

from lightning_lite.storage.folders import PathLike

if sys.version_info >= (3, 12):
    SegmentsPath = PosixPath
else:

    class _Derived:
        """A class method of pathlib that makes a path; on a path, `with_segments` has the last word."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __get__(self, path: SegmentsPath | None, owner: type[SegmentsPath]) -> Any:
            make = getattr(super(SegmentsPath, owner), self._name)
            return make if path is None else lambda *args: path.with_segments(make(*args))

    class SegmentsPath(PosixPath):
        """Python 3.11's path, with a `with_segments` to override."""

        _from_parts = _Derived("_from_parts")
        _from_parsed_parts = _Derived("_from_parsed_parts")

        def with_segments(self, *segments: PathLike) -> Self:
            """Return a path derived from this one."""
            return type(self)(*segments)

        @property
        def parents(self) -> Sequence[Self]:
            """The folders above, the nearest one first."""
            return tuple(map(self.with_segments, super().parents))

        def _make_child(self, segments: Iterable[PathLike]) -> Self:
            return self.with_segments(self, *segments)
