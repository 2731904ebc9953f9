"""Settings of a work: the arguments of its constructor that say how calls are run."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_lite.errors import ComponentError
from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple
from lightning_lite.values.transferable import Confidential

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from lightning_lite.values.secret import Secret

    T = TypeVar("T")


class WorkPolicy(NamedTuple):
    """Settings of a work.

    Attributes:
        parallel: Whether the flow continues while a call runs.
        cache_calls: Whether a call with the same arguments is run only once.
        raise_exception: Whether a failed call ends the app.
        start_with_flow: Whether the process starts with the app.
        env: Environment variables added for the work's process.
        cwd: Working directory of the work's process.
        call_key: Function that gets the arguments of a call and returns plain data, from which the key is
            computed.
        retries: Number of further attempts after the first attempt of a call has failed.
        retry_delay: Seconds before the second attempt; doubled before each further one, up to 60.
        timeout: Seconds that one attempt may take, or `None` for no limit.
        max_restarts: How often a process that died by itself is replaced within `restart_period`.
        restart_period: Seconds.
    """

    parallel: bool = False
    cache_calls: bool = True
    raise_exception: bool = True
    start_with_flow: bool = True
    env: dict[str, str | Secret] | None = None
    cwd: str | None = None
    call_key: Callable[..., Any] | None = None
    retries: int = 0
    retry_delay: float = 1.0
    timeout: float | None = None
    max_restarts: int = 3
    restart_period: float = 60.0

    def checked(self, what: str) -> WorkPolicy:
        """Return the policy if all settings are valid.

        Args:
            what: Name of the work's class, for the message.

        Raises:
            ComponentError: A setting is invalid; the message names it, its value, and the valid values.
        """
        for name in ("parallel", "cache_calls", "raise_exception", "start_with_flow"):
            expect(isinstance(getattr(self, name), bool), what, name, getattr(self, name), "True or False")
        for name in ("retries", "max_restarts"):
            value = getattr(self, name)
            expect(type(value) is int and value >= 0, what, name, value, "a whole number, 0 or more")
        expect(
            _is_number(self.retry_delay) and self.retry_delay >= 0,
            what,
            "retry_delay",
            self.retry_delay,
            "a number of seconds, 0 or more",
        )
        for name in ("timeout", "restart_period"):
            value = getattr(self, name)
            optional = name == "timeout" and value is None
            expect(
                optional or (_is_number(value) and value > 0),
                what,
                name,
                value,
                "a number of seconds, more than 0",
            )
        if self.env is not None:
            good = isinstance(self.env, Mapping) and all(
                isinstance(name, str) and "\0" not in name and _is_text(value)
                for name, value in self.env.items()
            )
            expect(
                good and all(name and "=" not in name for name in self.env),
                what,
                "env",
                self.env,
                "a dict of strings, or of Secrets under strings, without null characters, "
                "empty names, or '=' in a name",
            )
        expect(self.cwd is None or isinstance(self.cwd, str), what, "cwd", self.cwd, "the path of a folder")
        expect(
            self.call_key is None or callable(self.call_key), what, "call_key", self.call_key, "a function"
        )
        return self

    def delay_after(self, num_failed: int) -> float:
        """Return the seconds to wait before the next attempt, after `num_failed` attempts have failed."""
        return float(min(self.retry_delay * 2.0 ** min(num_failed - 1, 30), _MAX_RETRY_DELAY))


_MAX_RETRY_DELAY = 60.0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value == value and abs(value) != float("inf")


def _is_text(value: Any) -> bool:
    """Return whether an environment variable can have this value."""
    if isinstance(value, Confidential):
        return value.variable is not None or "\0" not in value.reveal()
    return isinstance(value, str) and "\0" not in value


def expect(good: bool, what: str, name: str, value: Any, expected: str) -> None:
    """Refuse an argument of a work unless it is good.

    Args:
        good: Whether it is.
        what: Name of the work's class, for the message.
        name: Name of the argument.
        value: Its value.
        expected: The valid values, for the message.

    Raises:
        ComponentError: It is not good.
    """
    if not good:
        raise ComponentError(
            f"{what}({name}={value!r}): {name} must be {expected}.", argument=name, found=value
        )


def expect_kind(what: str, name: str, value: T, kind: type[T]) -> T:
    """Return an argument of a work, or refuse it if it is of another class.

    Args:
        what: Name of the work's class, for the message.
        name: Name of the argument.
        value: Its value.
        kind: The class.

    Raises:
        ComponentError: It is of another class.
    """
    expect(isinstance(value, kind), what, name, value, f"a {kind.__name__}")
    return value
