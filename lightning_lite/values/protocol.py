"""The protocol of values that take part in their transfer between works."""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Self


class Transferable:
    """Base of the values that take part in their own journey (`Drive`, `Path`, `Payload`).

    A traveller may be an argument of `work.run(...)`, at any depth of lists, tuples and dicts, and
    the value of a public attribute of a component. It has to be picklable.
    """

    __slots__ = ()

    def call_key(self) -> Any:
        """Return plain data that says which value this is; it is what a call's key is made from."""
        raise NotImplementedError(f"{type(self).__qualname__} does not say its call key")

    def attached(self, work: str, attribute: str) -> None:
        """Hear that the value becomes attribute `attribute` of a work.

        Args:
            work: Name of the work, "" as long as it does not stand in a tree.
            attribute: Name of the attribute.

        Raises:
            Exception: The value may not be there; then the attribute keeps the value that it has.
        """

    def before_run(self, work: str) -> Self:
        """Return what the `run` of `work` shall get in this value's place; called in the work's process.

        Something else than the value in an attribute becomes the attribute's new value.
        """
        return self

    def after_run(self, work: str) -> None:
        """Hear that a `run` of `work` has ended well; in the work's process, before its answer is sent."""
