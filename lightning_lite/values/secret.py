"""`Secret`: a text, such as a password, that reaches works and is never written to disk.

    flow   Secret("sk-...") ── pickle ──▶ token         in arguments, attributes, globals, journal, big values
                                          token: text   in the messages `StartWork` and `RunCall`, by the pipe
    work                   token + text ─▶ Secret("sk-...")

The bytes of a pickled secret hold a random token in place of the text. The process that sends them looks for
tokens in them, and sends the texts of those with the message.
"""

from __future__ import annotations

import copyreg
import os
from typing import TYPE_CHECKING, Any, NoReturn, Self

from lightning_lite.errors import SecretError
from lightning_lite.masking import MASK, register
from lightning_lite.values.secret_texts import TOKEN, add_variable, is_variable, text_of, token_of
from lightning_lite.values.transferable import Confidential

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The fingerprints of texts: each takes some 40 ms.
_fingerprints: dict[str, str] = {}


class Secret(Confidential):
    """A text that reaches works, and is not stored or shown: a password, a key, a token.

    It may be a private attribute of a work, an argument of `work.run(...)` at any depth, a value of `env=` of
    a work, or a global of the script. It can't be part of the state or of an answer, because both are stored.
    Its `repr` and `str` are masked, and so is its text in the output and the errors of works, if it has at
    least 6 characters.

    Calls with equal secrets are the same call. Of `from_env`, the name counts, not the value.

    Args:
        text: The text; it may not be empty.

    Raises:
        SecretError: `text` is not a text, or is empty.

    Example:
        >>> key = Secret("sk-12345678")
        >>> key, f"Bearer {key}"
        (Secret('**********'), 'Bearer **********')
        >>> key.reveal()
        'sk-12345678'
    """

    __slots__ = ("_text", "_token", "_variable")

    def __init__(self, text: str) -> None:
        if type(text) is not str or not text:
            found = "an empty text" if text == "" else type(text).__qualname__
            raise SecretError(f"Secret(...): a text is expected, found {found}.", found=found)
        self._variable: str | None = None
        self._text: str | None = text
        self._token = token_of(text)

    def __init_subclass__(cls, **kwargs: Any) -> NoReturn:
        raise TypeError("Secret can't be subclassed: a subclass could show or store the text.")

    @classmethod
    def from_env(cls, variable: str) -> Self:
        """Return a secret that holds only the name of an environment variable.

        The variable is read by each `reveal`, in the process that calls it.

        Args:
            variable: Name of the variable.

        Raises:
            SecretError: `variable` is not the name of a variable.

        Example:
            >>> Secret.from_env("OPENAI_API_KEY")
            Secret.from_env('OPENAI_API_KEY')
        """
        if type(variable) is not str or not variable or "=" in variable or "\0" in variable:
            # Not the value: it may be the secret itself.
            raise SecretError("Secret.from_env(...): the name of an environment variable is expected.")
        secret = cls.__new__(cls)
        secret.__setstate__((variable, ""))
        return secret

    @property
    def variable(self) -> str | None:
        """Name of the environment variable, of `from_env`; else `None`."""
        return self._variable

    def reveal(self) -> str:
        """Return the text.

        Raises:
            SecretError: The environment variable is not set in this process, or the text was not stored.
        """
        if self._variable is not None:
            text = os.environ.get(self._variable)
            if not text:
                found = "not set" if text is None else "empty"
                raise SecretError(
                    f"The environment variable {self._variable!r} is {found}, "
                    f"but Secret.from_env({self._variable!r}) needs it. Set it before the app starts.",
                    variable=self._variable,
                )
            register(text)
            return text
        if self._text is None:
            raise SecretError(
                "This Secret has no text: it was unpickled from a file, from an earlier run, or in a process "
                "that is not a work, and the text is never stored. Create it with Secret(...) in this "
                "process, or use Secret.from_env(...)."
            )
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})" if self._variable is None else f"Secret.from_env({self._variable!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (Secret,), (self._variable, self._token)  # type: ignore[attr-defined]

    def __setstate__(self, state: tuple[str | None, str]) -> None:
        self._variable, self._token = state
        self._text = text_of(self._token)
        if self._variable is not None:
            add_variable(self._variable)

    def _fingerprint(self) -> str:
        if self._variable is not None:
            return f"variable {self._variable}"
        text = self.reveal()
        known = _fingerprints.get(text)
        if known is None:
            from hashlib import scrypt  # noqa: PLC0415 - loads OpenSSL, which only a flow with secrets needs

            data = text.encode("utf-8", "surrogatepass")
            # The key is on disk, so this is a function that takes long: texts can't be guessed quickly.
            known = _fingerprints[text] = scrypt(data, salt=TOKEN, n=2**14, r=8, p=1, dklen=16).hex()
        return known

    def _identity(self) -> tuple[str, str]:
        if self._variable is not None:
            return "variable", self._variable
        return ("token", self._token) if self._text is None else ("text", self._text)


def reveal_environment(env: Mapping[str, str | Secret] | None, work: str) -> dict[str, str] | None:
    """Return environment variables with the texts of the secrets among them.

    Args:
        env: The variables, or `None`.
        work: Name of the work whose process gets them, for the message.

    Raises:
        SecretError: A variable of `Secret.from_env` is not set.
    """
    if env is None:
        return None
    revealed = {}
    for name, value in env.items():
        try:
            revealed[name] = value.reveal() if isinstance(value, Secret) else value
        except SecretError as error:
            raise SecretError(f"{work}: env {name!r}: {error}", **error.fields) from None
        if is_variable(name):  # in the process of the work, `Secret.from_env(name)` has this text
            register(revealed[name])
    return revealed
