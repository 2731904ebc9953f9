"""Classes whose instances can't be pickled."""

from __future__ import annotations

from typing import NoReturn


class Raises:
    """Raises an exception when it is pickled."""

    def __reduce__(self) -> NoReturn:
        raise KeyError("no")


class Leaves:
    """Ends the process when it is pickled, as a library does that calls `sys.exit`."""

    def __reduce__(self) -> NoReturn:
        raise SystemExit(3)
