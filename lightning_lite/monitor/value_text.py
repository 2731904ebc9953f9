"""Values of a run as text, without importing or running code of the user.

    describe        encoded or pickled bytes ─▶ Shown: text, type, size
    read_value      the same ─▶ a tree of plain values and stand-ins, for those that look into it

An object of a class that is not imported is written from the content of its pickle: `Config(lr=0.1)`. Arrays
are summarised, and the cost of a value of any size is bounded.
"""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import re
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from lightning_lite.quantity_text import format_bytes
from lightning_lite.regular_files import open_regular
from lightning_lite.runs.journal_values import JournalValue
from lightning_lite.runs.safe_unpickle import StandIn, unpack_shown
from lightning_lite.values.pickling import REFERENCE, is_reference
from lightning_lite.values.value_files import Reference, Section, ValueFile

#: Values whose pickle is larger are not read, only summarised.
MAX_READ = 16 * 1024 * 1024

#: Maximum number of characters of a short text, and of a long one.
SHORT = 200
LONG = 1024 * 1024

_MAX_DEPTH = 40

#: Characters up to which a container is written on one line of a long text.
_LINE = 100

#: Bytes of a pickle that is not read, from which its type is found.
_PEEK = 4096

_REFERENCE_END = len(b"\x85R.")

_OPEN_TYPES = {
    "EMPTY_LIST": "list",
    "EMPTY_DICT": "dict",
    "EMPTY_SET": "set",
    "EMPTY_TUPLE": "tuple",
    "MARK": "tuple",
    "BINUNICODE": "str",
    "BINUNICODE8": "str",
    "SHORT_BINUNICODE": "str",
    "BINBYTES": "bytes",
    "BINBYTES8": "bytes",
    "BYTEARRAY8": "bytearray",
    "LONG4": "int",
}

#: Kinds of NumPy's types, with the codes of `struct` by size in bytes.
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex", "b": "bool"}
_SCALARS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?"} | {
    f"{kind}{size}": code if kind == "i" else code.upper()
    for kind in "iu"
    for size, code in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
}


class Shown(NamedTuple):
    """A value as text.

    Attributes:
        text: The text.
        type: Name of its type, or "" if that is unknown.
        size: Bytes of the value in its run, or `None` if unknown.
        is_cut: Whether the text is not the whole value.
    """

    text: str
    type: str
    size: int | None
    is_cut: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {"text": self.text, "type": self.type, "size": self.size, "truncated": self.is_cut}


class Unreadable(Exception):
    """A value can't be read; the text says why."""


class _TooLarge(Unreadable):
    """A value is too large to be read."""


def describe(
    packed: bytes | JournalValue, limit: int = SHORT, *, is_long: bool = False, max_read: int = MAX_READ
) -> Shown:
    r"""Return a value of a run as text; never raises for odd data.

    Args:
        packed: The encoded or pickled value, a reference to files, or its place on disk.
        limit: Maximum number of characters.
        is_long: Whether the text may have several lines, and that of a `str` is the `str` itself.
        max_read: Values with a larger pickle are summarised.

    Example:
        >>> import pickle
        >>> describe(pickle.dumps({"lr": 0.1, "tags": ("a", "b")}))
        Shown(text="{'lr': 0.1, 'tags': ('a', 'b')}", type='dict', size=47, is_cut=False)
    """
    size = size_of(packed)
    try:
        value = read_value(packed, max_read)
    except _TooLarge as error:
        found, begin = _peek(packed)
        text = f"{found or 'a value'} of {format_bytes(size or 0)}"
        return Shown(
            f"{text}, {error}" if not begin else f"{text}: {begin[: limit - 40]!r}...", found, size, True
        )
    except Exception as error:  # noqa: BLE001 - odd data fail in many ways; the text says so
        why = str(error) if isinstance(error, Unreadable) else "it can't be unpickled without its classes"
        return Shown(f"not readable: {why}"[:limit], _peek(packed)[0], size, True)
    text, is_cut = write(value, limit, is_long=is_long)
    return Shown(text, type_of(value), size, is_cut)


def size_of(packed: bytes | JournalValue) -> int | None:
    """Return the size of a value in bytes, with its files; `None` if that is unknown."""
    if isinstance(packed, JournalValue):
        return packed.size
    if not is_reference(packed):
        return len(packed)
    try:
        reference = _read_reference(packed)
    except Exception:  # noqa: BLE001 - damaged
        return None
    return len(reference.pickled) + sum(
        size for _, _, size in (*reference.buffers, *filter(None, (reference.stream,)))
    )


def digests_of(packed: bytes) -> list[str]:
    """Return the digests of the buffers of a value by reference: equal ones are the same big value.

    Args:
        packed: A reference.

    Raises:
        Exception: It is damaged.
    """
    reference = _read_reference(packed)
    places = {(file, start): size for file, start, size in reference.buffers}
    return [
        section.digest
        for number, file in enumerate(reference.files)
        for section in file.sections
        if places.get((number, section.start)) == section.size
    ]


def read_value(packed: bytes | JournalValue, max_read: int = MAX_READ) -> Any:
    """Return a value with stand-ins in place of objects of other classes.

    Args:
        packed: As for `describe`.
        max_read: Maximum size of its pickle in bytes.

    Raises:
        Unreadable: It is larger, or its file is missing.
        Exception: The data are damaged.
    """
    data = _load(packed, max_read)
    if not is_reference(data):
        return unpack_shown(data)
    reference = _read_reference(data)
    pickled = reference.pickled
    if reference.stream is not None:
        file, start, size = reference.stream
        if size > max_read:
            raise _TooLarge("too large to be shown")
        pickled = _read_part(os.path.join(reference.folder, reference.files[file].name), start, size)
    return unpack_shown(pickled, len(reference.buffers))


def _load(packed: bytes | JournalValue, max_read: int) -> bytes:
    if isinstance(packed, JournalValue):
        if packed.size > max_read:
            raise _TooLarge("too large to be shown")
        return packed.load()
    if len(packed) > max_read:
        raise _TooLarge("too large to be shown")
    return packed


def _read_part(path: str, start: int, size: int) -> bytes:
    try:
        with open(open_regular(path), "rb") as file:
            file.seek(start)
            return file.read(size)
    except OSError as error:
        raise Unreadable(f"its file {path!r} can't be read, {error.strerror}") from None


class _ReferenceUnpickler(pickle.Unpickler):
    """Unpickles a reference, which consists of named tuples of ours."""

    def find_class(self, module: str, name: str) -> Any:
        for known in (Reference, ValueFile, Section):
            if (module, name) == (known.__module__, known.__name__):
                return known
        raise Unreadable(f"{module}.{name} is not part of a reference")


def _read_reference(packed: bytes) -> Reference:
    data = packed[len(REFERENCE) + 4 : -_REFERENCE_END]
    found = _ReferenceUnpickler(io.BytesIO(data)).load()
    if not isinstance(found, Reference):
        raise Unreadable("the reference to its files is damaged")
    return found


def _peek(packed: bytes | JournalValue) -> tuple[str, str]:
    """Return the type of a value that is not read, and the begin of a text; each "" if it is not known."""
    try:
        begin = _read_part(packed.path, 0, _PEEK) if isinstance(packed, JournalValue) else packed[:_PEEK]
    except Unreadable:
        return "", ""
    if re.match(rb"\x80.(?:\x95.{8})?[B\x8e]", begin, re.DOTALL):  # `genops` wants all of its bytes
        return "bytes", ""
    marked = re.match(rb"\x80.(?:\x95.{8})?(?:X(.{4})|\x8d.{8})", begin, re.DOTALL)
    if marked is not None:
        return "str", begin[marked.end() :][: 4 * SHORT].decode("utf-8", "ignore")
    names: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(begin):
            if code.name in ("PROTO", "FRAME", "MEMOIZE"):
                continue
            if code.name == "STACK_GLOBAL" and names:
                return names[-1], ""
            if code.name == "GLOBAL":
                return str(argument).rpartition(" ")[2], ""
            if code.name == "SHORT_BINUNICODE":
                names.append(str(argument))
                continue
            return _OPEN_TYPES.get(code.name, ""), ""
    except Exception:  # noqa: BLE001 - it is cut, or damaged
        pass
    return "", ""


# Text.


def type_of(value: Any) -> str:
    """Return the name of the type of a value that `read_value` has returned."""
    if isinstance(value, type):
        return "type"
    if not isinstance(value, StandIn):
        return type(value).__name__
    first = value.stand_in_args[0] if value.stand_in_args else None
    makes = value.stand_in_name in ("_reconstruct", "_revive", "__newobj__", "_reconstructor")
    if makes and isinstance(first, type) and issubclass(first, StandIn):
        return first.stand_in_name
    if value.stand_in_name == "scalar" and isinstance(first, StandIn):
        return _dtype(first)
    if value.stand_in_name.startswith("_rebuild_tensor"):
        return "Tensor"
    return value.stand_in_name


def write(value: Any, limit: int, *, is_long: bool = False) -> tuple[str, bool]:
    """Return a value of `read_value` as text, and whether it was cut.

    Args:
        value: The value.
        limit: Maximum number of characters.
        is_long: As for `describe`.
    """
    if is_long and type(value) is str:
        return value[:limit], len(value) > limit
    writer = _Writer(limit)
    try:
        if is_long:
            writer.write_lines(value, 0)
        else:
            writer.write(value, 0)
    except _Full:
        return f"{''.join(writer.parts)[: max(0, limit - 3)]}...", True
    return "".join(writer.parts), writer.is_cut


class _Full(Exception):
    """The text has reached its limit."""


class _Writer:
    """Writes values up to a number of characters."""

    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self.is_cut = False
        self._rest = limit

    def say(self, text: str) -> None:
        self.parts.append(text)
        self._rest -= len(text)
        if self._rest < 0:
            raise _Full

    def write(self, value: Any, depth: int) -> None:
        """Write a value on one line."""
        form = _container(value) if depth < _MAX_DEPTH else None
        if form is None:
            self._atom(value, depth)
            return
        opening, items, closing = form
        self.say(opening)
        for position, (name, item) in enumerate(items):
            self.say(", " * bool(position))
            self._name(name, depth)
            self.write(item, depth + 1)
        self.say(closing)

    def write_lines(self, value: Any, depth: int) -> None:
        """Write a value on as many lines as it needs."""
        form = _container(value) if depth < _MAX_DEPTH else None
        if form is None:
            self._atom(value, depth)
            return
        line = _Writer(_LINE - 2 * depth)
        try:
            line.write(value, depth)
        except _Full:
            pass
        else:
            self.say("".join(line.parts))
            self.is_cut |= line.is_cut
            return
        opening, items, closing = form
        self.say(opening)
        for name, item in items:
            self.say("\n" + "  " * (depth + 1))
            self._name(name, depth)
            self.write_lines(item, depth + 1)
            self.say(",")
        self.say("\n" + "  " * depth + closing.lstrip(","))

    def _name(self, name: Any, depth: int) -> None:
        """Write the text before an item: a name with its sign, a key of a dict, or nothing."""
        if isinstance(name, _Key):
            self.write(name.value, depth + 1)
            self.say(": ")
        elif name:
            self.say(name)

    def _atom(self, value: Any, depth: int) -> None:
        if type(value) in (str, bytes, bytearray):
            # A character takes at least one in the text, so more of them are not looked at.
            self.say(repr(value[: self._rest + 1]))
        elif isinstance(value, type):
            self.say(value.stand_in_name if issubclass(value, StandIn) else value.__name__)
        elif isinstance(value, StandIn):
            self.say(_summary(value) or f"{type_of(value)}(...)")
        elif depth >= _MAX_DEPTH and isinstance(value, list | tuple | dict | set | frozenset):
            self.is_cut = True
            self.say("...")
        else:
            self.say(_repr(value))


class _Key(NamedTuple):
    """The key of an item of a dict."""

    value: Any


#: The text before the items, the items with the text before each, and the text behind them.
_Form = tuple[str, Iterable[tuple[Any, Any]], str]


def _container(value: Any) -> _Form | None:
    """Return how a value with parts is written; `None` for one without."""
    kind = type(value)
    if kind is list:
        return "[", (("", item) for item in value), "]"
    if kind is tuple:
        return "(", (("", item) for item in value), ",)" if len(value) == 1 else ")"
    if kind is dict:
        return "{", ((_Key(key), item) for key, item in value.items()), "}"
    if kind in (set, frozenset) and value:
        opening, closing = ("{", "}") if kind is set else ("frozenset({", "})")
        return opening, (("", item) for item in value), closing
    if isinstance(value, StandIn) and _summary(value) is None:
        return f"{type_of(value)}(", _parts(value), ")"
    return None


def _parts(value: StandIn) -> Iterable[tuple[Any, Any]]:
    """Yield the arguments, the items and the attributes of an object."""
    args = value.stand_in_args
    if type_of(value) != value.stand_in_name:  # the first argument is its class
        args = args[1:]
    for item in args:
        yield "", item
    if value.stand_in_items:
        yield "", value.stand_in_items
    state = value.stand_in_state
    for part in state if type(state) is tuple else (state,):  # the second one has the slots
        if type(part) is dict:
            for name, item in part.items():
                yield f"{name}=", item
        elif part is not None:
            yield "", part


def _repr(value: Any) -> str:
    """Return the `repr` of a value of a builtin type."""
    try:
        return repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"an int of {value.bit_length()} bits" if type(value) is int else type(value).__name__


def _summary(value: StandIn) -> str | None:
    """Return the text for an object that is not written with its parts; `None` for others."""
    module, name, args = value.stand_in_module, value.stand_in_name, value.stand_in_args
    try:
        if module == "lightning_lite.storage.path" and name == "_revive":
            origin = f", of {args[2]}" if args[2] else ""
            return f"{type_of(value)}({args[1]!r}{origin})"
        if module == "lightning_lite.storage.payload" and name == "_revive":
            return f"<{type_of(value)} {args[1]} of {args[2]}>"
        if module == "lightning_lite.storage.drive" and type(value.stand_in_state) is dict:
            return f"{name}({value.stand_in_state['id']!r})"
        if module == "lightning_lite.values.array_views":  # `view_of(content, dtype, class)`
            content, dtype, kind = args
            return f"{kind.stand_in_name} {_dtype(dtype)} {_shape(content.stand_in_args[2])}"
        if module.partition(".")[0] == "numpy":
            return _numpy(value)
        if name.startswith("_rebuild_tensor"):
            return f"Tensor {_shape(args[2])}"
    except (LookupError, TypeError, ValueError, struct.error):
        return f"{name}(...)"
    return None


def _numpy(value: StandIn) -> str | None:
    args = value.stand_in_args
    if value.stand_in_name == "ndarray" and len(args) >= 3:  # `_frombuffer(buffer, dtype, shape, order)`
        return f"ndarray {_dtype(args[1])} {_shape(args[2])}"
    if value.stand_in_name == "_reconstruct" and type(value.stand_in_state) is tuple:
        _, shape, dtype, *_ = value.stand_in_state
        return f"{type_of(value)} {_dtype(dtype)} {_shape(shape)}"
    if value.stand_in_name == "scalar":
        code = _SCALARS.get(args[0].stand_in_args[0])
        if code is not None:
            order = ">" if args[0].stand_in_state[1] == ">" else "<"
            return f"{_dtype(args[0])}({struct.unpack(order + code, args[1])[0]!r})"
    if value.stand_in_name == "dtype":
        return f"dtype({_dtype(value)!r})"
    return None


def _dtype(value: Any) -> str:
    """Return the name of a NumPy type: `float64` for `f8`."""
    short = str(value.stand_in_args[0])
    if short[:1] in _KINDS and short[1:].isdecimal():
        kind, bits = _KINDS[short[0]], 8 * int(short[1:])
        return kind if kind == "bool" else f"{kind}{bits}"
    return short


def _shape(value: Any) -> str:
    shape = tuple(value)
    if not all(type(length) is int for length in shape):
        raise ValueError(value)
    return str(shape)
