"""The parameters of the API: how they are checked, and how the description of the API shows them.

One table serves both, so that the description is true. A name that is not in the table is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lightning_lite.web.refusals import Refused

#: Maximum number of characters of a text.
_MAX_TEXT = 4096

_YES_NO = {"0": False, "1": True, "false": False, "true": True}


class Parameter(NamedTuple):
    """One parameter of a query, or one field of a JSON body.

    Attributes:
        name: Its name.
        kind: `text`, `whole`, `number` or `flag`.
        about: Its meaning, in one line.
        default: Its value if it is not given.
        required: Whether it must be given.
        most: How often it may be given; above 1, its value is a tuple.
        least: The lowest value of a number, and the lowest number of characters of a text.
        highest: The highest value of a number.
        choices: The values of a text, if only some are allowed.
    """

    name: str
    kind: str
    about: str
    default: Any = None
    required: bool = False
    most: int = 1
    least: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of one value."""
        types = {"text": "string", "whole": "integer", "number": "number", "flag": "boolean"}
        found: dict[str, Any] = {"type": types[self.kind]}
        if self.kind == "text":
            found |= {"maxLength": _MAX_TEXT}
        if self.choices:
            found["enum"] = list(self.choices)
        if self.least is not None:
            found["minLength" if self.kind == "text" else "minimum"] = self.least
        if self.highest is not None:
            found["maximum"] = self.highest
        if self.default not in (None, ()):
            found["default"] = self.default
        return found

    def from_text(self, text: str) -> Any:
        """Return the value that a text in a query means.

        Raises:
            Refused: It means none.
        """
        value: Any = text
        try:
            if self.kind == "whole":
                # Python's own limit for the digits of a number is far above the need of a place in a file.
                value = int(text) if len(text) <= 20 else math.nan
            elif self.kind == "number":
                value = float(text)
            elif self.kind == "flag":
                value = _YES_NO[text.lower()]
        except (ValueError, KeyError):
            raise self._refuse(text) from None
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return a value, if it is allowed.

        Raises:
            Refused: It is not.
        """
        kinds: dict[str, tuple[type, ...]] = {
            "text": (str,),
            "whole": (int,),
            "number": (int, float),
            "flag": (bool,),
        }
        if type(value) not in kinds[self.kind]:
            raise self._refuse(value)
        if self.kind == "text":
            if len(value) > _MAX_TEXT or len(value) < (self.least or 0):
                raise self._refuse(f"{value[:100]}...")
        elif self.kind != "flag":
            is_low = self.least is not None and value < self.least
            is_high = self.highest is not None and value > self.highest
            # An integer of JSON may be too long for `isfinite`, which makes it a float.
            is_odd = type(value) is float and not math.isfinite(value)
            if is_odd or is_low or is_high:
                raise self._refuse(value)
        if self.choices and value not in self.choices:
            raise self._refuse(value)
        return value

    def _refuse(self, value: object) -> Refused:
        return Refused(400, f"{self.name} must be {self._describe()}; found {value!r}.")

    def _describe(self) -> str:
        if self.choices:
            return " or ".join(self.choices)
        if self.kind == "flag":
            return "0 or 1"
        if self.kind == "text":
            return f"a text of {self.least or 0:.0f} to {_MAX_TEXT} characters"
        what = "a whole number" if self.kind == "whole" else "a number"
        if self.least is not None and self.highest is not None:
            return f"{what} from {self.least:g} to {self.highest:g}"
        return what if self.least is None else f"{what}, {self.least:g} or more"


def read_query(pairs: Iterable[tuple[str, str]], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the values of a query by name.

    Args:
        pairs: Names and texts, as in the query.
        parameters: The parameters that it may have.

    Raises:
        Refused: One is unknown, invalid, missing or given too often.

    Example:
        >>> limit = Parameter("limit", "whole", "How many.", default=10, least=1, highest=100)
        >>> read_query([("limit", "20")], [limit]), read_query([], [limit])
        ({'limit': 20}, {'limit': 10})
        >>> read_query([("limit", "many")], [limit])
        Traceback (most recent call last):
            ...
        lightning_lite.web.refusals.Refused: limit must be a whole number from 1 to 100; found 'many'.
    """
    known = {parameter.name: parameter for parameter in parameters}
    given: dict[str, list[Any]] = {}
    for name, text in pairs:
        if name not in known:
            raise _unknown(name, known)
        given.setdefault(name, []).append(known[name].from_text(text))
    found = {}
    for name, parameter in known.items():
        values = given.get(name, [])
        if len(values) > parameter.most:
            raise Refused(400, f"{name} may be given {parameter.most} times at most; found {len(values)}.")
        if not values and parameter.required:
            raise Refused(400, f"{name} is missing: {parameter.about}")
        if parameter.most > 1:
            found[name] = tuple(values)
        else:
            found[name] = values[0] if values else parameter.default
    return found


def read_fields(body: object, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the values of the fields of a JSON body by name; `null` is the same as no field.

    Raises:
        Refused: It is not an object, or a field is unknown, invalid or missing.
    """
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    known = {parameter.name: parameter for parameter in parameters}
    for name in body:
        if name not in known:
            raise _unknown(name, known)
    found = {}
    for name, parameter in known.items():
        value = body.get(name)
        if value is None and parameter.required:
            raise Refused(400, f"{name} is missing: {parameter.about}")
        found[name] = parameter.default if value is None else parameter.check(value)
    return found


def _unknown(name: str, known: Mapping[str, Parameter]) -> Refused:
    names = f"there are {', '.join(known)}" if known else "there are none here"
    return Refused(400, f"There is no parameter {name[:100]!r}; {names}.")
