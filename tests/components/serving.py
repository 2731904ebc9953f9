"""Runs works that serve, in an app in the background."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.testing import poll_until

#: Seconds after which a test fails because something hangs; not a measure of speed.
DEADLINE = 60.0


class Serving(LightningFlow):
    """Calls its work without arguments, again and again.

    Args:
        work: The work.
    """

    def __init__(self, work: LightningWork) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work.run()


@contextmanager
def serving(work: Any, **options: Any) -> Iterator[Any]:
    """Run an app with this work, and yield the work once its server answers; stop the app then.

    Args:
        work: The work.
        options: Options of `app.run()`.
    """
    app = LightningApp(Serving(work))
    with app.start(**options) as running:
        poll_until(lambda: app.root.work.url or running.done, timeout=DEADLINE)
        yield app.root.work


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make `folder` the working directory, with a root in it, for an app that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LIGHTNING_LITE_ROOT", str(folder / "root"))
        yield


def post(url: str, **options: Any) -> httpx.Response:
    """Do the same as `httpx.post`, which reads the certificates of all authorities each time.

    It waits for up to `DEADLINE`; httpx alone waits for 5 seconds.

    Args:
        url: The address, of `http`.
        options: Options of `httpx.post`.
    """
    return httpx.post(url, verify=False, **{"timeout": DEADLINE, **options})


def get(url: str, **options: Any) -> httpx.Response:
    """Do the same as `post` with `httpx.get`.

    Args:
        url: The address, of `http`.
        options: Options of `httpx.get`.
    """
    return httpx.get(url, verify=False, **{"timeout": DEADLINE, **options})
