"""Creates the processes of works: as fresh interpreters, or as forks of the fork server."""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable
from itertools import count
from typing import Any

from lightning_lite import settings
from lightning_lite.main_messages import PrepareWork, StartWork
from lightning_lite.process_places import this_host
from lightning_lite.runners.base import RunnerOptions
from lightning_lite.runners.output.pump import WorkOutput
from lightning_lite.runners.processes.environment_marks import VARIABLE, mark_of
from lightning_lite.runners.processes.forkserver import ForkServer
from lightning_lite.runners.processes.guardian import Guardian
from lightning_lite.runners.processes.process import Origin, WorkProcess
from lightning_lite.runners.processes.spawn import finder_modules, spawn_program
from lightning_lite.trusted_roots import TRUSTED_ROOT_VARIABLE, is_trusted
from lightning_lite.values.multiprocessing_objects import is_in_use
from lightning_lite.values.secret_texts import texts_in


class ProcessFactory:
    """Creates processes, which the launcher then starts; owns the fork server and the guardian of an app.

    Args:
        options: The options of the runner.
        output: Receives the output of works.
        inherit: Returns the settings that a process inherits from the app, for its working directory; as
            `spawn.inherited_settings`.

    Attributes:
        host: Name of the host machine of all processes.
    """

    def __init__(
        self,
        options: RunnerOptions,
        output: WorkOutput,
        inherit: Callable[[str | None], dict[str, Any]],
    ) -> None:
        self._output = output
        self._inherit = inherit
        self._root = options.root_dir
        self._drives = options.drives
        self._durable = options.durable
        self._preload = options.preload
        self._guardian = Guardian()
        self._numbers = count(1)
        self._spawner = Spawner()
        is_forked = options.start_method == "forkserver"
        self._server = ForkServer(self._guardian, options.preload) if is_forked else None
        self.host = this_host()
        self._setup = {
            "root": options.root_dir,
            "durable": options.durable,
            "values": options.values,
            "drives": options.drives,
            "session": options.session,
            "function": options.setup,
            "project": None if options.file is None else tuple(options.file),
            "secrets": texts_in(options.setup),
            "host": self.host,
            "parent": os.getpid(),
        }

    def make(self, request: PrepareWork | StartWork) -> WorkProcess:
        """Return the process of a work, with its setup in the pipe of calls.

        Raises:
            OSError: There are too many open files.
            RuntimeError: There are too many threads.
        """
        name = request.work
        number = next(self._numbers)
        inherited = dict(os.environ)
        inherited.pop(settings.NOTIFY_VARIABLE, None)  # it has a password that works do not need
        env = {
            **inherited,
            settings.ROOT_VARIABLE: self._root,
            **({settings.DRIVES_VARIABLE: self._drives} if self._drives else {}),
            settings.DURABLE_VARIABLE: str(int(self._durable)),
            **({TRUSTED_ROOT_VARIABLE: self._root} if is_trusted(self._root) else {}),
            **(request.env or {}),
            VARIABLE: mark_of(self._guardian.token, number),
        }
        origin = self._origin_of(env)
        # A process that is prepared gets its work later: then any work may have such objects.
        takes_descriptors = bool(request.descriptors) if isinstance(request, StartWork) else is_in_use()
        setup = self._inherit(request.cwd) | self._setup
        setup["preload"] = [*finder_modules(), *self._preload]
        if self._server is not None and origin is self._server:
            # A spawned process gets both at its start.
            setup |= {"work": name, "env": self._server.changes_of_environment(env)}
        packed = marshal.dumps(setup)  # first: if it raises, no pipes are left open
        output = self._output.attach(name)
        try:
            process = WorkProcess(
                name, number, env, output, self._guardian, origin, takes_descriptors=takes_descriptors
            )
        except BaseException:
            os.close(output)
            raise
        process.calls.put_bytes(packed)
        return process

    def renew_lease(self, deadline: float) -> None:
        """Let the guardian kill all works at a time of `lease.read_clock`, unless this is called again."""
        self._guardian.renew_lease(deadline)

    def close(self) -> None:
        """End the fork server and the guardian; all works have exited before."""
        if self._server is not None:
            self._server.close()
        self._guardian.close()

    def close_after_fork(self) -> None:
        """Close their pipes in a forked child."""
        if self._server is not None:
            self._server.close_after_fork()
        self._guardian.close_after_fork()

    def _origin_of(self, env: dict[str, str]) -> Origin:
        if self._server is not None and self._server.suits(env):
            return self._server
        return self._spawner


class Spawner:
    """Starts a fresh interpreter for each work; see `process.Origin`."""

    def start(self, process: WorkProcess) -> int:
        """Start the process of a work, in a process group of its own, and return its id.

        Raises:
            OSError: The system refuses.
            ValueError: A variable of the environment is invalid.
        """
        arguments = (process.name, os.getpid(), *process.child_ends)
        return spawn_program("boot", arguments, process.env, process.child_ends, process.output_end)

    def reap(self, process: WorkProcess) -> int:
        """Return the wait status of a process that has ended."""
        try:
            return os.waitpid(process.pid, 0)[1]
        except ChildProcessError:
            raise ChildProcessError("other code of the app has taken its exit code") from None
