"""The data that all endpoints of a server share."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lightning_lite.monitor.activity import Activity
from lightning_lite.monitor.drive_contents import DriveContents
from lightning_lite.monitor.run_list import RunList
from lightning_lite.runs.catalog import LINK_TROUBLE, RunSummary
from lightning_lite.web.refusals import Refused
from lightning_lite.web.run_readers import RunReaders
from lightning_lite.web.tickets import Tickets

#: Seconds between two questions of a page.
PERIOD = 0.4

#: Requests that the app has at the same time; others wait. Its command channel drops a peer at the 33rd one,
#: and the actions of the page are among them.
MAX_TURNS = 24


class ServerContext:
    """The data that all endpoints of a server share.

    Args:
        root: Absolute folder that holds everything.
        run: Id of the run that the server was started for, or `None`.
        read_only: Whether it refuses all that changes something.
        place: Absolute folder or url that holds the drives; by default the root.

    Attributes:
        root: As the argument.
        place: As the argument.
        run: As the argument.
        read_only: As the argument.
        runs: The runs of the root.
        activity: The ended attempts of calls of runs over time.
        readers: Readers of the runs that pages look at.
        drives: The drives of the root.
        tickets: The tickets for downloads and previews.
        port: The port of the server; 0 before it is bound.
        last_request: When a request passed the guard last, in monotonic seconds.
        num_unsent: Number of requests for routes of the app whose answers are not sent yet.
    """

    def __init__(
        self, root: str, run: str | None = None, *, read_only: bool = False, place: str | None = None
    ) -> None:
        self.root = root
        self.place = place or root
        self.run = run
        self.read_only = read_only
        self.runs = RunList(root)
        self.activity = Activity()
        self.readers = RunReaders()
        self.drives = DriveContents(self.place)
        self.tickets: Tickets[Any] = Tickets()
        self.port = 0
        self.last_request = float("-inf")
        self.num_unsent = 0
        self._turns = asyncio.Semaphore(MAX_TURNS)

    @asynccontextmanager
    async def turn(self, timeout: float) -> AsyncIterator[None]:
        """Wait until the app may get one more request; it has it until the end of the block.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            Refused: The app has answered too few of the requests before in this time.
        """
        try:
            await asyncio.wait_for(self._turns.acquire(), timeout)
        except TimeoutError:
            raise Refused(
                504, f"The app has {MAX_TURNS} requests already, and has answered none within {timeout:g} s."
            ) from None
        try:
            yield
        finally:
            self._turns.release()

    def find_run(self, run_id: str) -> RunSummary:
        """Return a run as it is now.

        Raises:
            Refused: The root has no such run, or its folder is a link.
        """
        run = self.runs.find(run_id)
        if run is None:
            raise Refused(
                404, f"There is no run {run_id[:100]!r} in {self.root}: it was removed, or never was there."
            )
        if os.path.islink(run.path):
            raise Refused(409, f"Run {run.id} can't be read from {run.path!r}: {LINK_TROUBLE}.")
        return run


def user_name() -> str:
    """Return the name of the user, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, the user may have a number and no name
        return str(os.getuid())
