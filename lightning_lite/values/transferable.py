"""The base classes of values that control their transfer between works, and of those that have none."""

from __future__ import annotations

from contextvars import ContextVar, Token

from lightning_lite.errors import LightningLiteError
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self, TypeVar

    T = TypeVar("T", bound="Transferable")

#: Functions that convert a text into a value, by its prefix. `storage` registers the one for `lit://`, so
#: components need not import `storage`.
_converters: dict[str, Callable[[str], Transferable]] = {}


class Transferable:
    """Base of the values that control their transfer between works: `Drive`, `Path`, `Payload`.

    Such a value may be an argument of `work.run(...)`, at any depth of lists, tuples and dicts, and the value
    of a public attribute of a component. It must be picklable.
    """

    __slots__ = ()

    def call_key(self) -> Any:
        """Return plain data that identifies the value; the key of a call is computed from it."""
        raise NotImplementedError(f"{type(self).__qualname__} does not implement call_key().")

    def attached(self, work: str, attribute: str) -> None:
        """Hook: the value becomes an attribute of a work.

        Args:
            work: Name of the work, "" if it is not part of a tree yet.
            attribute: Name of the attribute.

        Raises:
            Exception: The attribute may not have this value; it keeps its old one.
        """

    def renamed(self, before: str, work: str, attribute: str) -> None:
        """Hook: the work of an attribute gets another name, because a flow above it was attached.

        Args:
            before: Its name until now.
            work: Its name from now on.
            attribute: Name of the attribute.
        """
        self.attached(work, attribute)

    def check_travels(self) -> None:
        """Hook: the value is about to be sent to another process, in an argument, an answer or an object.

        Raises:
            NotShareable: It would arrive without its content; the message says what to do.
        """

    def before_run(self, work: str) -> Self:
        """Return the value that the `run` of `work` gets in place of this one; called in the work's process.

        If the value is that of an attribute, the returned value replaces it there.
        """
        return self

    def after_run(self, work: str) -> None:
        """Hook: a `run` of `work` succeeded; called in its process, before the answer is sent."""


class receiving:  # noqa: N801 - used like a function; a generator would take twice as long
    """Mark a `with` block in which the arguments of a work are unpickled; see `arrived`.

    Args:
        work: Name of the work.
    """

    __slots__ = ("_token", "received", "work")

    def __init__(self, work: str) -> None:
        self.work = work
        self.received: dict[int, Transferable] = {}
        self._token: Token[receiving | None]

    def __enter__(self) -> dict[int, Transferable]:
        """Return the dict that gets each result of `before_run`, by its `id`."""
        self._token = _receiving.set(self)
        return self.received

    def __exit__(self, *_: object) -> None:
        _receiving.reset(self._token)


_receiving: ContextVar[receiving | None] = ContextVar("lightning_lite_receiving", default=None)


def arrived(value: T) -> T:
    """Return an unpickled `Transferable`, or the result of its `before_run` if it is in arguments of a work.

    `before_run` may return a replacement. An object of the user's class that holds the value can receive the
    replacement only during unpickling.
    """
    block = _receiving.get()
    if block is None:
        return value
    result = value.before_run(block.work)
    block.received[id(result)] = result
    return result


class Stationary:
    """Base of objects that stay in one process: flows and works."""

    __slots__ = ()

    def _why_it_stays(self) -> str:
        """Return why the object can't be sent, and what to do."""
        raise NotImplementedError(f"{type(self).__qualname__} does not implement _why_it_stays().")


class Carrier:
    """Base of objects that take one stationary object to the process where it belongs."""

    __slots__ = ()

    @property
    def carried(self) -> Stationary:
        """The object that may travel."""
        raise NotImplementedError(f"{type(self).__qualname__} does not implement carried.")


class Confidential:
    """Base of `Secret`: a text that may travel to works, but is never stored.

    So a process that gets no secret need not load the module of `Secret`.
    """

    __slots__ = ()

    @property
    def variable(self) -> str | None:
        """Name of the environment variable that has the text, or `None`."""
        raise NotImplementedError(f"{type(self).__qualname__} does not implement variable.")

    def reveal(self) -> str:
        """Return the text.

        Raises:
            SecretError: It is not known in this process.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not implement reveal().")

    def _fingerprint(self) -> str:
        """Return the value that stands for the text in the key of a call, the same in every run.

        Raises:
            SecretError: The text is not known in this process.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not implement _fingerprint().")


class PackingError(LightningLiteError, TypeError):
    """A value can't be pickled, or its bytes can't be unpickled."""


class PickleTooLarge(Exception):
    """A pickle is too large for a message."""


class NotShareable(TypeError):
    """An object is of no use in another process; the message says why, and what to do.

    Args:
        why: The message.
        stays: The object, if it is a flow or a work.
    """

    def __init__(self, why: str, stays: Any = None) -> None:
        super().__init__(why)
        self.stays = stays


def check_travels(value: Any, carried: Any) -> Any:
    """Refuse to send an object that stays in its process, or that would arrive without its content.

    Args:
        value: The object to pickle.
        carried: The object that a carrier takes to its process, or `None`.

    Returns:
        The object that a carrier takes to its process from now on.

    Raises:
        NotShareable: The object can't be sent.
    """
    if isinstance(value, Transferable):
        value.check_travels()
    elif isinstance(value, Carrier):
        return value.carried
    if isinstance(value, Stationary) and value is not carried:
        raise NotShareable(value._why_it_stays(), value)
    return carried


def register_text(prefix: str, convert: Callable[[str], Transferable]) -> None:
    """Register a conversion for texts with a prefix, which applies when a component gets one as an attribute.

    Args:
        prefix: Beginning of the texts, for example `lit://`.
        convert: Returns the value for such a text.
    """
    _converters[prefix] = convert


def from_text(text: str) -> Any:
    """Return the value that a text is converted to, or the text itself if it has no registered prefix."""
    for prefix, convert in _converters.items():
        if text.startswith(prefix):
            return convert(text)
    return text
