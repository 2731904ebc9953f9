"""The kinds of values that settings have: how each is described, checked, read from a variable and shown."""

# ruff: noqa: D102 - the methods are documented in `Kind`

from __future__ import annotations

import json
import os
from typing import Any

from lightning_lite import store_url
from lightning_lite.masking import MASK
from lightning_lite.resources import read_table
from lightning_lite.store_url import is_url

#: A word that `lightning-lite run --resume` uses for the latest run, so no run has it as its name.
LATEST = "latest"

#: The value that switches off messages, or the folder that works on other machines get.
OFF = "off"

#: Stands for the value of a variable whose text is not valid.
INVALID = object()

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})

_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_LETTERS_OF_TAGS = _LETTERS | frozenset(":/=+@")

#: In a url they separate passwords and options, which are not shown.
_BEFORE_SECRETS = frozenset("@?#")

#: Maximum number of characters of the name of a run, and of a tag.
_MAX_LETTERS = 64

#: Maximum number of digits of a number in a variable: Python reads no number that has thousands of digits.
_MAX_DIGITS = 18


class Kind:
    """A kind of values."""

    def describe(self, flags: str) -> str:
        """Return a description of the values in words; `flags` names the two values of a flag."""
        raise NotImplementedError

    def accepts(self, value: object) -> bool:
        """Return whether an argument or a file may have this value."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """Return the value that the text of a variable means, or `INVALID`."""
        return text if self.accepts(text) else INVALID

    def check(self, value: Any, where: str) -> None:
        """Refuse a value of the right type with a wrong entry in it.

        Raises:
            SettingError: An entry is wrong; the message begins with `where`.
        """

    def resolve(self, value: Any, folder: str) -> Any:
        """Return a value of a file in `folder`; there, a relative path begins in that folder."""
        return value

    def show(self, value: object) -> str:
        """Return a value as text, without passwords."""
        return repr(value)


class Choice(Kind):
    """One of some words: `choices`."""

    def __init__(self, choices: tuple[str, ...]) -> None:
        self.choices = choices

    def describe(self, flags: str) -> str:
        return " or ".join(map(repr, self.choices))

    def accepts(self, value: object) -> bool:
        return value in self.choices


class Flag(Kind):
    """Yes or no."""

    def describe(self, flags: str) -> str:
        return flags

    def accepts(self, value: object) -> bool:
        return type(value) is bool

    def parse(self, text: str) -> Any:
        word = text.lower()
        return True if word in _YES else False if word in _NO else INVALID


class Number(Kind):
    """A whole number, at least `least`."""

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def describe(self, flags: str) -> str:
        return f"a whole number, {self._least} or more"

    def accepts(self, value: object) -> bool:
        return type(value) is int and value >= self._least

    def parse(self, text: str) -> Any:
        number = int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else -1
        return number if number >= self._least else INVALID


class Seconds(Kind):
    """A number of seconds, at least `least`."""

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def describe(self, flags: str) -> str:
        return f"a number of seconds, {self._least} or more"

    def accepts(self, value: object) -> bool:
        return type(value) in (int, float) and self._least <= value < float("inf")  # type: ignore[operator]

    def parse(self, text: str) -> Any:
        digits = text.replace(".", "", 1)
        seconds = float(text) if digits.isdecimal() and len(digits) <= _MAX_DIGITS else -1.0
        return seconds if seconds >= self._least else INVALID


class Patterns(Kind):
    """A list of patterns of file names."""

    def describe(self, flags: str) -> str:
        return "a list of patterns such as '*.bin', without empty ones"

    def accepts(self, value: object) -> bool:
        return isinstance(value, list | tuple) and all(map(_is_pattern, value))

    def parse(self, text: str) -> Any:
        return tuple(pattern.strip() for pattern in text.split(",") if pattern.strip())


class Cluster(Kind):
    """A word for a cluster, or a host with a port."""

    def describe(self, flags: str) -> str:
        return "'auto', 'local', or host and port of the head of a cluster, such as '10.0.0.1:6379'"

    def accepts(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        host, _, port = value.rpartition(":")
        is_host = host != "" and host.isascii() and host.isprintable() and not {*host} & {*" /@"}
        return value in ("auto", "local") or (
            is_host and port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536
        )


class Table(Kind):
    """A table of tables as `resources.read_table` takes it."""

    def describe(self, flags: str) -> str:
        return "a table of tables such as {'big': {'cpus': 8, 'memory': '32 GiB'}}; in a variable, as JSON"

    def accepts(self, value: object) -> bool:
        return isinstance(value, dict)

    def parse(self, text: str) -> Any:
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            return INVALID
        return table if isinstance(table, dict) else INVALID

    def check(self, value: Any, where: str) -> None:
        read_table(value, where)


class Run(Kind):
    """A flag, or the id or the name of a run."""

    def describe(self, flags: str) -> str:
        return f"{flags}, or the id or the name of a run"

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool | str) and value != ""

    def parse(self, text: str) -> Any:
        flag = Flag().parse(text)
        return text if flag is INVALID else flag


class Name(Kind):
    """The name of a run."""

    def describe(self, flags: str) -> str:
        return (
            f"1 to {_MAX_LETTERS} letters, digits and '._-', a letter or a digit first, and not "
            f"{LATEST!r}, 'root' or the id of a run"
        )

    def accepts(self, value: object) -> bool:
        if not isinstance(value, str) or value == LATEST or value[:1] in ("", ".", "_", "-"):
            return False
        is_like_id = (
            value[:8].isdecimal() and value[8:9] == "-" and value[9:18].isdecimal() and len(value) > 17
        )
        is_component = value == "root" or value.startswith("root.")
        return not (is_like_id or is_component) and len(value) <= _MAX_LETTERS and _LETTERS.issuperset(value)


class Tags(Kind):
    """A list of tags of a run."""

    def describe(self, flags: str) -> str:
        return f"a list of tags, each of 1 to {_MAX_LETTERS} letters, digits and '._-:/=+@'"

    def accepts(self, value: object) -> bool:
        return isinstance(value, list | tuple | set | frozenset) and all(map(_is_tag, value))

    def parse(self, text: str) -> Any:
        tags = tuple(tag.strip() for tag in text.split(",") if tag.strip())
        return tags if self.accepts(tags) else INVALID


class Address(Kind):
    """An address of apprise, or `OFF`."""

    def describe(self, flags: str) -> str:
        return f"an address of apprise, such as 'slack://...', or {OFF!r} for none"

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and ("://" in value or value in ("", OFF))

    def parse(self, text: str) -> Any:
        return text if "://" in text else OFF if text.lower() in _NO else INVALID

    def show(self, value: object) -> str:
        if value in (None, "", OFF):
            return repr(value)
        if not isinstance(value, str):
            return f"a value of the type {type(value).__qualname__}"  # a list may have addresses
        scheme, separator, _ = value.partition("://")  # the rest has passwords and tokens
        is_scheme = separator and _LETTERS.issuperset(scheme)
        return repr(f"{scheme}://{MASK}" if is_scheme else MASK)


class Folder(Kind):
    """The path of a folder, which need not exist."""

    def describe(self, flags: str) -> str:
        return "the path of a folder"

    def accepts(self, value: object) -> bool:
        path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        return isinstance(path, str) and path != "" and "\0" not in path

    def parse(self, text: str) -> Any:
        return text

    def resolve(self, value: Any, folder: str) -> Any:
        if value == OFF:
            return value
        return os.path.normpath(os.path.join(folder, os.path.expanduser(value)))


class Place(Folder):
    """The path of a folder, or the url of an object store."""

    def describe(self, flags: str) -> str:
        return "the path of a folder, or a url such as 's3://bucket/prefix'"

    def accepts(self, value: object) -> bool:
        if not super().accepts(value):
            return False
        text = os.fspath(value)  # type: ignore[call-overload] # it is a path
        if not is_url(text):
            # A `Path` made of a url has lost a slash.
            return not text.startswith(store_url.SCHEME.replace("//", "/"))
        try:
            store_url.parse(text)
        except store_url.InvalidUrl:
            return False
        return True

    def parse(self, text: str) -> Any:
        return text if self.accepts(text) else INVALID

    def resolve(self, value: Any, folder: str) -> Any:
        return value if is_url(value) else os.path.normpath(os.path.join(folder, os.path.expanduser(value)))

    def show(self, value: object) -> str:
        if not is_url(value) or _BEFORE_SECRETS.isdisjoint(value):
            return repr(value)
        return repr(value.partition(store_url.SCHEME_END)[0] + store_url.SCHEME_END + MASK)


def _is_pattern(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern.strip() != "" and "\0" not in pattern and "\n" not in pattern


def _is_tag(tag: object) -> bool:
    """Return whether a run may have this tag."""
    return isinstance(tag, str) and 0 < len(tag) <= _MAX_LETTERS and _LETTERS_OF_TAGS.issuperset(tag)
