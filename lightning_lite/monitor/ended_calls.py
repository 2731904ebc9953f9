"""The calls of a run that have ended, each given once, also when the journal is compacted between."""

from __future__ import annotations

from lightning_lite.engine.history import CallHistory, RunHistory


class EndedCalls:
    """Gives each call of one run once, after it has ended.

    Example:
        >>> EndedCalls().take(RunHistory())
        []
    """

    def __init__(self) -> None:
        self._history: RunHistory | None = None
        self._num_taken: dict[str, int] = {}
        self._open: dict[str, list[CallHistory]] = {}
        self._newest: dict[str, int] = {}  # number of the newest call of each work

    @property
    def unended(self) -> list[CallHistory]:
        """The calls that had not ended at the last `take`."""
        return [call for calls in self._open.values() for call in calls]

    def take(self, history: RunHistory) -> list[CallHistory]:
        """Return the calls that have ended since the last time.

        Args:
            history: The history of the run, which has grown; or a new one of the same run, because its
                journal was compacted. Calls that it has and that were given before are left out.
        """
        before: dict[str, int] = {}
        unended: dict[str, set[int]] = {}
        if history is not self._history:
            if self._history is not None:
                before = dict(self._newest)
                unended = {name: {call.number for call in calls} for name, calls in self._open.items()}
            self._history, self._num_taken, self._open = history, {}, {}
        ended: list[CallHistory] = []
        for name, work in history.works.items():
            new = work.calls[self._num_taken.get(name, 0) :]
            self._num_taken[name] = len(work.calls)
            if name in before:
                new = [call for call in new if call.number > before[name] or call.number in unended[name]]
            if new:
                self._newest[name] = max(self._newest.get(name, 0), *(call.number for call in new))
            still_open: list[CallHistory] = []
            for call in (*self._open.get(name, ()), *new):
                (ended if call.is_final else still_open).append(call)
            self._open[name] = still_open
        return ended
