"""Finds the names that code uses: globals, attributes, and words of texts that may be annotations."""

from __future__ import annotations
import __future__

import dis
import re
from collections.abc import Iterable
from types import CodeType
from typing import NamedTuple
from weakref import WeakKeyDictionary

#: Instructions whose name may name a global; instructions of class bodies look there last.
_NAME_INSTRUCTIONS = frozenset(
    {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
)

#: Globals of each module, which class bodies name.
_OF_MODULES = frozenset({"__name__", "__qualname__", "__module__", "__annotations__", "__doc__"})

_IDENTIFIER = re.compile(r"[^\W\d]\w*")


class Names(NamedTuple):
    """Names in a code object and in the functions inside it.

    Attributes:
        used: Names that may be globals.
        attributes: All names, also names of attributes and modules.
        noted: Words of texts that may be annotations, because the annotations of this code are not evaluated.
    """

    used: frozenset[str]
    attributes: frozenset[str]
    noted: frozenset[str]


_known_names: WeakKeyDictionary[CodeType, Names] = WeakKeyDictionary()


def names_of(code: CodeType) -> Names:
    """Return the names in a code object, and in the code objects of the functions inside it."""
    found = _known_names.get(code)
    if found is None:
        is_late = code.co_flags & __future__.annotations.compiler_flag
        used = {i.argval for i in dis.get_instructions(code) if i.opname in _NAME_INSTRUCTIONS}
        attributes = {*code.co_names}
        # The qualified names of inner functions are no annotations.
        texts = [text for text in code.co_consts if isinstance(text, str) and "<locals>" not in text]
        noted = words_of(texts) if is_late else set()
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                inner = names_of(constant)
                used |= inner.used
                attributes |= inner.attributes
                noted |= inner.noted
        found = _known_names[code] = Names(
            frozenset(used - _OF_MODULES), frozenset(attributes), frozenset(noted)
        )
    return found


def words_of(texts: Iterable[str]) -> set[str]:
    """Return the words of texts that may be identifiers."""
    return {word for text in texts for word in _IDENTIFIER.findall(text)}
