"""`StateStore` and `InMemoryStateStore`: states by name, for servers of apps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any


@dataclass
class StateEntry:
    """The states of one app in a store.

    Attributes:
        app_state: The latest state of the app.
        served_state: The state that was served last.
        session_id: The session that it was served to.
    """

    app_state: Mapping[str, Any] = field(default_factory=dict)
    served_state: Mapping[str, Any] = field(default_factory=dict)
    session_id: str | None = None


class StateStore(ABC):
    """A store of states by name."""

    @abstractmethod
    def add(self, k: str) -> None:
        """Add an empty entry of this name."""

    @abstractmethod
    def remove(self, k: str) -> None:
        """Remove an entry."""

    @abstractmethod
    def get_app_state(self, k: str) -> Mapping[str, Any]:
        """Return the latest state of an app."""

    @abstractmethod
    def get_served_state(self, k: str) -> Mapping[str, Any]:
        """Return the state that was served last."""

    @abstractmethod
    def get_served_session_id(self, k: str) -> str | None:
        """Return the session that it was served to."""

    @abstractmethod
    def set_app_state(self, k: str, v: Mapping[str, Any]) -> None:
        """Set the latest state of an app."""

    @abstractmethod
    def set_served_state(self, k: str, v: Mapping[str, Any]) -> None:
        """Set the state that was served last."""

    @abstractmethod
    def set_served_session_id(self, k: str, v: str) -> None:
        """Set the session that it was served to."""


class InMemoryStateStore(StateStore):
    """A store in the memory of this process. It keeps copies, which later changes of a state do not reach.

    Example:
        >>> store = InMemoryStateStore()
        >>> store.add("app")
        >>> store.set_app_state("app", {"vars": {"a": 1}})
        >>> store.get_app_state("app"), store.get_served_state("app"), store.counter
        ({'vars': {'a': 1}}, {}, 1)
    """

    def __init__(self) -> None:
        self.store: dict[str, StateEntry] = {}
        self.counter = 0  # of the states that were set

    def add(self, k: str) -> None:
        """Add an empty entry of this name."""
        self.store[k] = StateEntry()

    def remove(self, k: str) -> None:
        """Remove an entry."""
        del self.store[k]

    def get_app_state(self, k: str) -> Mapping[str, Any]:
        """Return the latest state of an app."""
        return self.store[k].app_state

    def get_served_state(self, k: str) -> Mapping[str, Any]:
        """Return the state that was served last."""
        return self.store[k].served_state

    def get_served_session_id(self, k: str) -> str | None:
        """Return the session that it was served to."""
        return self.store[k].session_id

    def set_app_state(self, k: str, v: Mapping[str, Any]) -> None:
        """Set the latest state of an app."""
        self.store[k].app_state = deepcopy(v)
        self.counter += 1

    def set_served_state(self, k: str, v: Mapping[str, Any]) -> None:
        """Set the state that was served last."""
        self.store[k].served_state = deepcopy(v)

    def set_served_session_id(self, k: str, v: str) -> None:
        """Set the session that it was served to."""
        self.store[k].session_id = v
