"""Tokens: names for classes, functions and globals that two processes share.

The process that created an object gives it a token. Another process that has the object by value has it under
the same token, so that it arrives once there, and is the same object when it comes back.
"""

from __future__ import annotations

import os
from _weakref import ref  # weakref itself would cost each work 0.5 ms
from itertools import count

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_objects: dict[str, Callable[[], Any]] = {}
_tokens: dict[int, str] = {}
#: The tokens of objects that are complete: all their parts have been set.
finished: set[str] = set()
_origin = ("", -1)
#: Never used twice, also when an object is gone: the other process may still have the object of the token.
_numbers = count()


def token_of(obj: Any) -> str:
    """Return the token of an object, which gets one if it has none."""
    token = known_token(obj)
    if token is None:
        token = f"{origin()}-{next(_numbers)}"
        register(token, obj)
        finished.add(token)
    return token


def known_token(obj: Any) -> str | None:
    """Return the token of an object, or `None` if it has none."""
    token = _tokens.get(id(obj))
    # The object that had this id may be gone.
    return token if token is not None and find(token) is obj else None


def find(token: str) -> Any:
    """Return the object of a token, or `None` if this process has none."""
    found = _objects.get(token)
    return None if found is None else found()


def origin() -> str:
    """Return the id of this process, unique among all, also after a fork."""
    global _origin
    if _origin[1] != os.getpid():
        _origin = os.urandom(8).hex(), os.getpid()
    return _origin[0]


def register(token: str, obj: Any) -> None:
    """Give an object a token that another process has chosen; it is forgotten with the object."""
    number = id(obj)

    # The defaults exist even while the interpreter ends and clears its modules.
    def forget(
        _: ref[Any], objects: Any = _objects, tokens: dict[int, str] = _tokens, finished: set[str] = finished
    ) -> None:
        objects.pop(token, None)
        finished.discard(token)
        if tokens.get(number) == token:  # another object may have this id by now
            del tokens[number]

    try:
        _objects[token] = ref(obj, forget)
    except TypeError:  # an object() or the like, which is a global of the script
        _objects[token] = lambda: obj
    _tokens[number] = token
