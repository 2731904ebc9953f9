"""The texts of the secrets that this process knows, and the tokens that stand for them in pickled data.

A process knows a secret when it has created or received one. Most know none, so a caller with many messages
tests `is_in_use` first.
"""

from __future__ import annotations

import os

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.masking import register

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Begin of each token. It is followed by `_NUM_DIGITS` random hexadecimal digits.
TOKEN = b"lightning_lite-secret-"
_NUM_DIGITS = 24

#: Whether this process knows a secret, or has known one.
is_in_use = False

#: The texts by token, and the reverse.
_texts: dict[str, str] = {}
_tokens: dict[str, str] = {}

#: Names of the environment variables of all `Secret.from_env`.
_variables: dict[str, None] = {}


def token_of(text: str) -> str:
    """Return the token of a text, which gets one if it has none."""
    global is_in_use
    is_in_use = True
    token = _tokens.get(text)
    if token is None:
        token = TOKEN.decode() + os.urandom(_NUM_DIGITS // 2).hex()
        token = _tokens.setdefault(text, token)  # another thread may have added it
        _texts[token] = text
        register(text)
    return token


def text_of(token: str) -> str | None:
    """Return the text of a token, or `None` if this process does not know it."""
    return _texts.get(token)


def add_texts(texts: Mapping[str, str] | None) -> None:
    """Take the texts of secrets that come with a message; called before its data is unpickled."""
    global is_in_use
    for token, text in texts.items() if texts else ():
        is_in_use = True
        _texts[token] = text
        _tokens.setdefault(text, token)
        register(text)


def add_variable(variable: str) -> None:
    """Mask the text of an environment variable from now on, also one that it gets later."""
    global is_in_use
    is_in_use = True
    _variables[variable] = None
    _register_variables()


def is_variable(name: str) -> bool:
    """Return whether the text of an environment variable is a secret."""
    return name in _variables


def texts_in(*packed: bytes | None) -> dict[str, str] | None:
    """Return the texts of the secrets in pickled data, by token; `None` if there are none.

    Args:
        packed: Bytes of `pickling.pack`, also a reference to a file of big values.

    Example:
        >>> import pickle
        >>> from lightning_lite import Secret
        >>> list(texts_in(pickle.dumps([Secret("sk-12345678")])).values())
        ['sk-12345678']
    """
    if not is_in_use:
        return None
    _register_variables()
    found = {token: _texts[token] for data in packed if data is not None for token in tokens_in((data,))}
    return found or None


def tokens_in(pieces: Iterable[bytes]) -> list[str]:
    """Return the tokens of secrets that this process knows in pieces of pickled data."""
    if not _texts:
        return []
    found: dict[str, None] = {}
    for piece in pieces:
        place = piece.find(TOKEN)
        while place >= 0:
            end = place + len(TOKEN) + _NUM_DIGITS
            token = piece[place:end].decode("ascii", "replace")
            if token in _texts:
                found[token] = None
            place = piece.find(TOKEN, end)
    return list(found)


def _register_variables() -> None:
    for name in list(_variables):
        text = os.environ.get(name)
        if text:
            register(text)
