"""Deaths of a work's processes that nobody had asked for: what one means, and when it is one too many."""

from __future__ import annotations

from collections import deque

from lightning_lite.core.policy import WorkPolicy
from lightning_lite.core.status import WorkFailureReasons, WorkStatus
from lightning_lite.errors import RestartLimitReached
from lightning_lite.messages import Failure
from lightning_lite.runners.exits import describe_exit


class Deaths:
    """The deaths of the processes of one work, against the limit of its policy.

    Args:
        work: Name of the work.
        policy: How it is run.
    """

    def __init__(self, work: str, policy: WorkPolicy) -> None:
        self._work = work
        self._policy = policy
        self._moments: deque[float] = deque()

    def add(self, now: float) -> None:
        """Count one, at a monotonic time in seconds."""
        self._moments.append(now)

    def error(self, now: float, status: WorkStatus) -> RestartLimitReached | None:
        """Return what has to end the app if no further process may be started now.

        Args:
            now: Monotonic time, in seconds.
            status: The newest of the work, which says how the last one died.
        """
        moments, policy = self._moments, self._policy
        while moments and moments[0] <= now - policy.restart_period:
            moments.popleft()
        if len(moments) <= policy.max_restarts:
            return None
        return RestartLimitReached(
            f"The process of {self._work} died {len(moments)} times within {policy.restart_period:g} s "
            f"(max_restarts={policy.max_restarts}); last: {status.message or 'see its log'}",
            work=self._work,
            reason=status.reason,
        )


def describe_death(
    work: str, pid: int | None, exitcode: int | None, detail: str, during: str, *, was_starting: bool
) -> Failure:
    """Return what the death of a process means for the call under way.

    Args:
        work: Name of the work.
        pid: Id of the process, if it has ever been up.
        exitcode: How it ended, or `None` if nobody knows.
        detail: What is known beside that.
        during: How long it had been in which call; "" if none was under way.
        was_starting: Whether it had not been up yet.
    """
    number = f" (pid {pid})" if pid is not None else ""
    how = describe_exit(exitcode) + (f" ({detail})" if detail else "")
    when = f"after {during}" if during else "while it started" if was_starting else "while idle"
    reason = WorkFailureReasons.START_FAILED if was_starting else WorkFailureReasons.CRASHED
    return Failure(reason, f"The process of {work}{number} ended with {how} {when}")
