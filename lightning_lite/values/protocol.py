"""The base class of values that control their transfer between works."""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

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

    def before_run(self, work: str) -> Self:
        """Return the value that the `run` of `work` gets in place of this one; called in the work's process.

        If the value is that of an attribute, the returned value replaces it there.
        """
        return self

    def after_run(self, work: str) -> None:
        """Hook: a `run` of `work` succeeded; called in its process, before the answer is sent."""


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
