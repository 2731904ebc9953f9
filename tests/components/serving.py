"""Runs works that serve, in an app in the background of one test or of several."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.app import session
from lightning_lite.app.background import RunningApp
from lightning_lite.testing import EmptyWork, poll_until

#: Seconds after which a test fails because something hangs; not a measure of speed.
DEADLINE = 60.0

#: The stages of a work without a process.
ENDED = ("not_started", "stopped", "failed")


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
def serving(work: Any) -> Iterator[Any]:
    """Run an app with this work, and yield the work once its server answers; stop the app then.

    Args:
        work: The work.
    """
    app = LightningApp(Serving(work))
    with app.start() as running:
        poll_until(lambda: app.root.work.url or running.done, timeout=DEADLINE)
        yield app.root.work


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make `folder` the working directory, with a root in it, for an app that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LIGHTNING_LITE_ROOT", str(folder / "root"))
        yield


class Parts(LightningFlow):
    """Runs works and flows, each one from when a test asks for it until the test ends it.

    Args:
        arguments: Arguments of the method `run` of a part, by its name, which the test does not give.
        parts: The works and the flows, by their names; their processes start when a test asks for them.

    Attributes:
        first: A work that does nothing. In the first pass, it starts the process from which the others are
            forked, and the printed line opens the log of the flow. A test would else leave both.
        asked: Arguments of the method `run` of those that run, by their names.
        ended: Names of those that the test has ended.
    """

    def __init__(self, arguments: Mapping[str, Mapping[str, Any]], **parts: LightningWork | LightningFlow):
        super().__init__()
        self.first = EmptyWork()
        for name, part in parts.items():
            setattr(self, name, part)
            for work in works_of(part):  # a process that starts late would be one that a test leaves
                work._policy = work._policy._replace(start_with_flow=False)
        self.asked: dict[str, dict[str, Any]] = {}
        self.ended: list[str] = []
        self._arguments = arguments

    def run(self) -> None:
        if not self.first.has_succeeded:
            sys.stdout.write("The first pass.\n")
        self.first.run()
        self.schedule("hourly")  # a test may ask at any time, so an app in which nothing runs has not ended
        for name, arguments in self.asked.items():
            getattr(self, name).run(**{**self._arguments.get(name, {}), **arguments})
        for name in self.ended:
            for work in works_of(getattr(self, name)):
                work.stop()


def files_of_processes() -> set[tuple[str, str]]:
    """Return number and target of each open pipe and pidfd of this process; none without /proc."""
    found = set()
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        with suppress(FileNotFoundError):  # one that was closed at this moment
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
    return {file for file in found if file[1].startswith(("pipe:", "anon_inode:[pidfd]"))}


def works_of(part: LightningWork | LightningFlow) -> list[LightningWork]:
    """Return a work, or the works of a flow."""
    return [part] if isinstance(part, LightningWork) else part.works()


class SharedApp:
    """An app of `Parts` in the background that several tests share; each test has parts of its own.

    A process of a work starts in the working directory of the test.

    Args:
        app: The app.
        running: Its run.
        folder: Its working directory.
    """

    def __init__(self, app: LightningApp, running: RunningApp, folder: Path) -> None:
        self._app = app
        self._running = running
        self.folder = folder

    def part(self, name: str) -> Any:
        """Return a part."""
        return getattr(self._app.root, name)

    def serve(self, name: str) -> Any:
        """Run a work until the end of the app, and return it once its server answers."""
        work = self.part(name)
        self._begin((name,), {})
        self.wait_for(lambda: work.url)
        return work

    @contextmanager
    def serving(self, name: str, **arguments: Any) -> Iterator[Any]:
        """Run a work with these arguments, and yield it once its server answers; stop it at the end."""
        work = self.part(name)
        with self.running(name, **arguments):
            self.wait_for(lambda: work.url)
            yield work

    @contextmanager
    def running(self, *names: str, **arguments: Any) -> Iterator[None]:
        """Run parts with these arguments for the block; stop the works of them at the end."""
        before = files_of_processes()
        self._begin(names, arguments)
        try:
            yield
        finally:
            if self._running.running:
                self._end(names, before)

    def _begin(self, names: tuple[str, ...], arguments: dict[str, Any]) -> None:
        root: Any = self._app.root
        asked = {**root.asked, **dict.fromkeys(names, arguments)}
        self._set(asked=asked, ended=[name for name in root.ended if name not in names])

    def _end(self, names: tuple[str, ...], before: set[tuple[str, str]]) -> None:
        """Ask for these parts no more, and wait until nothing of the processes of their works is left."""
        root: Any = self._app.root
        asked = {name: arguments for name, arguments in root.asked.items() if name not in names}
        self._set(asked=asked, ended=[*root.ended, *names])
        works = [work for name in names for work in works_of(self.part(name))]
        self.wait_for(lambda: all(work.status.stage in ENDED for work in works))
        self.wait_for(lambda: files_of_processes() <= before)

    def set_state(self, state: dict[str, Any]) -> None:
        """Do the same as `LightningApp.set_state`."""
        self._app.set_state(state)

    def stop(self) -> None:
        """Stop the app."""
        self._running.stop()

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Wait until a condition is true, and return its value; fail if the app ends before that."""
        value = poll_until(lambda: self._running.done or condition(), timeout=DEADLINE)
        if self._running.done:
            self._running.wait()  # raises the error of the app
        assert self._running.running, "the app that the tests share has ended"
        return value

    def log_of(self, name: str) -> str:
        """Return the log of a work."""
        return next(self.folder.rglob(f"root.{name}.log")).read_text("utf-8")

    def _set(self, **values: Any) -> None:
        self._app.set_state({"vars": values})


@contextmanager
def sharing(
    folder: Path,
    modules: list[str],
    arguments: Mapping[str, Mapping[str, Any]] | None = None,
    **parts: LightningWork | LightningFlow,
) -> Iterator[SharedApp]:
    """Run an app in the background, in an empty folder.

    Its works are forked from a process that has imported the modules that they need: that import takes most
    of the time of the start of a server.

    Args:
        folder: The folder.
        modules: Names of the modules.
        arguments: As for `Parts`.
        parts: As for `Parts`.
    """
    with working_in(folder), pytest.MonkeyPatch.context() as patch:
        listed = session._modules_for_works
        patch.setattr(session, "_modules_for_works", lambda method: [*listed(method), *modules])
        app = LightningApp(Parts(arguments or {}, **parts))
        with app.start(start_method="forkserver", ui=False) as running:
            shared = SharedApp(app, running, folder)
            # See `Parts.first`.
            shared.wait_for(lambda: app.root.first.has_succeeded)
            yield shared


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
