"""Masks the secrets in a command line before it is stored: passwords, keys and tokens among its arguments."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lightning_lite.masking import MASK, mask

#: Last word of a name whose value is a secret: `HF_TOKEN`, `X-Authorization`.
_SECRET_WORDS = {"accesstoken", "apikey", "apitoken", "authorization", "authtoken", "cookie"} | {
    "credential", "credentials", "passcode", "pwd", "secretkey", "token"
}  # fmt: skip

#: Ends of such words: `--db-password`, `clientsecret`.
_SECRET_ENDS = ("passphrase", "passwd", "password", "secret")

#: Words before `key` that make it a secret. `--sort-key` and `--key` are left alone.
_KEY_WORDS = {"access", "account", "api", "auth", "encryption", "license", "private", "secret", "signing"}

#: Words before `token` that make it a part of a text, for a tokenizer: `--pad-token`.
_TEXT_TOKENS = {"begin", "bos", "cls", "end", "eos", "image", "mask", "new", "pad", "sep", "special"} | {
    "start", "stop", "unk", "unknown"
}  # fmt: skip

#: First words of a name that switches something on or off, and has no value: `--ask-password`.
_SWITCH_WORDS = {"ask", "disable", "enable", "hide", "no", "prompt", "show", "skip", "use", "with", "without"}

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

#: An option without its value; `-p` and the like are left alone, because they mean too many things.
_OPTION = re.compile(r"--?([A-Za-z][\w.\-]{2,})")

#: Name and value in one argument: `--password=x`, `model.api_key=x`, `X-Api-Key: x`.
_ASSIGNMENT = re.compile(r"[-+~]*(?P<name>[A-Za-z][\w.\-/@]*)\s*[=:]\s*(?!//)(?P<value>.+)", re.DOTALL)

#: Names before one value: `--env=API_KEY=x` has two.
_MAX_NAMES = 4

#: The password in `scheme://user:password@host`.
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)([^\s/]+)(?=@)")

#: A parameter in the query or the fragment of a URL, or in a list of settings.
_PARAMETER = re.compile(r"[?&#;](?P<name>[A-Za-z][\w.\-]*)=(?P<value>[^&#;\s]+)")

#: An item of a JSON object whose value is a text.
_JSON_ITEM = re.compile(r'"(?P<name>[A-Za-z][\w.\-]*)"\s*:\s*"(?P<value>(?:[^"\\]|\\.)*)"')


def mask_command(command: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return a command line without its secrets, and the positions of the arguments that were changed.

    An argument is masked if the name of its option ends in `password`, `token`, `api-key` and the like, if it
    has a URL with a password, or if it contains the text of a `Secret` that was made before.

    Args:
        command: The program and its arguments.

    Example:
        >>> mask_command(["train.py", "--token", "abc", "--rate=1", "-p", "80", "ftp://me:pw@host/"])
        (['train.py', '--token', '**********', '--rate=1', '-p', '80', 'ftp://me:**********@host/'], [2, 6])
    """
    shown = []
    is_value = False  # of the option before it
    for word in command:
        shown.append(MASK if is_value and not word.startswith("--") else _mask_argument(word))
        option = _OPTION.fullmatch(word)
        is_value = option is not None and _is_secret(option[1])
    return shown, [place for place, word in enumerate(command) if shown[place] != word]


def _mask_argument(word: str) -> str:
    start = 0
    for _ in range(_MAX_NAMES):
        assigned = _ASSIGNMENT.fullmatch(word, start)
        if assigned is None:
            break
        start = assigned.start("value")
        if _is_secret(assigned["name"]):
            return mask(word[:start]) + MASK
    word = _URL_PASSWORD.sub(rf"\g<1>{MASK}", word)
    for pattern in (_PARAMETER, _JSON_ITEM):
        word = pattern.sub(_mask_value, word)
    return mask(word)


def _mask_value(found: re.Match[str]) -> str:
    """Return the text of a match with its name and value, with the value masked if the name says so."""
    begin, end = found.span("value")
    shown = MASK if _is_secret(found["name"]) else found["value"]
    return found.string[found.start() : begin] + shown + found.string[end : found.end()]


def _is_secret(name: str) -> bool:
    """Return whether the value of an option or a variable with this name is a secret.

    Example:
        >>> list(filter(_is_secret, ("api_key", "max-tokens", "dbPassword", "pad-token", "no-token")))
        ['api_key', 'dbPassword']
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words or words[0] in _SWITCH_WORDS:
        return False
    *before, last = words
    if last == "key":
        return bool(_KEY_WORDS.intersection(before[-1:]))
    if last == "token":
        return not _TEXT_TOKENS.intersection(before[-1:])
    return last in _SECRET_WORDS or last.endswith(_SECRET_ENDS)
