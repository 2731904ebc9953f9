"""Stand-ins for `typing` in the modules that each work loads: importing `typing` would cost 10 ms.

    from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple, Protocol

    if TYPE_CHECKING:
        from typing import Any

Annotations are not evaluated, so a name that is used only in annotations need not be imported. Type checkers
assume that each `TYPE_CHECKING` is true, and treat the two classes as the classes in `typing`.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any
    from typing import NamedTuple as NamedTuple
    from typing import Protocol as Protocol
    from typing import assert_never as assert_never
else:
    Protocol = object

    def assert_never(value: Any) -> Any:
        """Raise, because this code is unreachable; type checkers prove it."""
        raise AssertionError(f"Expected code to be unreachable, but got: {value!r}")

    class _NamedTupleType(type):
        """Makes a class of `collections.namedtuple` from the body of a class, as `typing.NamedTuple` does."""

        def __new__(mcls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(mcls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_NamedTupleType):
        """Replaces `typing.NamedTuple`.

        Example:
            >>> class Point(NamedTuple):
            ...     x: int
            ...     y: int = 0
            >>> Point(2)._replace(y=3)
            Point(x=2, y=3)
        """
