"""The interface of a cluster for a remote runner: a place for the server of a work, calls, reports of death.

    RemoteRunner ── place ──▶ Cluster      finds a machine, starts a `WorkServer` there
                 ◀─ Placement ──┘
                 ── call ───▶ Placement ──▶ WorkServer.call
                 ◀─ answer, or an error; on_death

A cluster may lose calls and answers, and carry out a call twice. It must not report a death that was none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from lightning_lite.resources import Resources


class CallUncertain(Exception):
    """A call may have been carried out or not, and may be made again; the server may be alive."""


class Death(NamedTuple):
    """The death of a server.

    Attributes:
        detail: The known facts in words that name the machine.
        is_node_lost: Whether its whole machine was lost. Processes there may live until their lease ends.
    """

    detail: str
    is_node_lost: bool = False


#: Takes the value of a call, and the error if there is one: `CallUncertain`, or one of the server. It is
#: called once, in any thread.
OnAnswer = Callable[[Any, Exception | None], None]


class Placement(Protocol):
    """The server of one work, which may still wait for a machine."""

    def call(self, method: str, arguments: tuple[Any, ...], on_answer: OnAnswer) -> None:
        """Have `WorkServer.call(method, *arguments)` called, now or when the server is up; return at once.

        Args:
            method: Name of the method.
            arguments: Plain values: numbers, texts, bytes, `None`, and tuples of them.
            on_answer: Called with the answer, unless the server dies.
        """

    def kill(self) -> None:
        """Kill the server, or give up its place; `on_death` follows if it was up. Callable again."""


class Cluster(Protocol):
    """Starts servers of works; `place` and `explain_wait` are called in one thread."""

    def open(self, logs: str) -> None:
        """Connect; called once, before all else.

        Args:
            logs: Folder of the logs of the run, for the output of the cluster.

        Raises:
            RunnerError: There is nothing to connect to; the message says what to do.
        """

    def place(self, work: str, resources: Resources | None, on_death: Callable[[Death], None]) -> Placement:
        """Start to find a machine for a work; return at once.

        Args:
            work: Name of the work.
            resources: The resources that it needs, or `None` for none.
            on_death: Called once, in any thread, when the server has died, can't be started, or if no machine
                will ever have the resources that the work needs; then the detail names the existing ones.
        """

    def explain_wait(self, resources: Resources | None, then: Callable[[str], None]) -> None:
        """Call `then`, in any thread, with one line that says why there is no place yet."""

    def close(self) -> None:
        """Release all resources; all servers that are left are killed."""
