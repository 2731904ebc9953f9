"""Stand-ins for `typing` in the modules that each work loads: importing `typing` would cost 10 ms.

    from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple, Protocol

    if TYPE_CHECKING:
        from typing import Any

Annotations are not evaluated, so a name that is used only in annotations need not be imported. Type checkers
assume that each `TYPE_CHECKING` is true, and treat the two classes as those of `typing`.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found] # as in collections.namedtuple

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
        """Creates a class in a tenth of the time that `typing` takes, because it compiles nothing."""

        def __new__(mcls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
            fields = tuple(space.get("__annotations__", ()))
            defaults = {field: space[field] for field in fields if field in space}
            for position, field in enumerate(fields):
                space[field] = _tuplegetter(position, f"Field {position}")
            own = {"__slots__": (), "__match_args__": fields, "_fields": fields, "_field_defaults": defaults}
            return super().__new__(mcls, name, bases, space | own | {"_num_fields": len(fields)})

    class NamedTuple(tuple, metaclass=_NamedTupleType):
        """Replaces `typing.NamedTuple`.

        Example:
            >>> class Point(NamedTuple):
            ...     x: int
            ...     y: int = 0
            >>> Point(2)._replace(y=3)
            Point(x=2, y=3)
        """

        def __new__(cls, *values: Any, **named: Any) -> Any:
            """Return a tuple of the values, by position and by name, and of the defaults."""
            if named or len(values) != cls._num_fields:
                values = cls._complete(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _complete(cls, values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
            """Return the values of all fields.

            Raises:
                TypeError: There are too few, too many or unknown ones.
            """
            defaults = cls._field_defaults
            rest = [
                named.pop(field) if field in named else defaults[field]
                for field in cls._fields[len(values) :]
                if field in named or field in defaults
            ]
            if named or len(values) + len(rest) != len(cls._fields):
                raise TypeError(
                    f"{cls.__name__} takes {', '.join(cls._fields)}; some are missing, or others were given"
                )
            return (*values, *rest)

        @classmethod
        def _make(cls, values: Any) -> Any:
            return cls(*values)

        def _replace(self, **named: Any) -> Any:
            values = [named.pop(field, value) for field, value in zip(self._fields, self, strict=True)]
            return type(self)(*values, **named)  # refuses unknown names

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            fields = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({fields})"
