"""The commands of the app that runs, which `configure_commands` of its flows has named.

    lightning-lite add_name --name=Ada ──────┐
    lightning-lite app --run RUN stop --x=1 ─┴─ command channel ──▶ the app

The class of a `ClientCommand` is loaded from its file on this machine; nothing is loaded over a network.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from lightning_lite.app.flow_commands import CLIENT_FIELD, COMMANDS
from lightning_lite.app_state import AppState
from lightning_lite.cli.options import BadInput
from lightning_lite.cli.output import say
from lightning_lite.client_command import ClientCommand
from lightning_lite.errors import CommandError
from lightning_lite.harmless_text import one_line
from lightning_lite.lightning_app.finder import install
from lightning_lite.regular_files import open_regular
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.verbs import command_line_of

#: The module that lets works have the names of Lightning App.
_INSTALLER = "lightning_lite.lightning"

#: Seconds to wait for the app; it answers within 30, unless it is suspended.
_ANSWER_LIMIT = 40.0

#: The status of an answer of FastAPI about arguments that are missing or wrong.
_WRONG_ARGUMENTS = 422


class _WrongArguments(CommandError):
    """The app refuses the arguments of a command; `ClientCommand.run` may catch it as `CommandError`."""


class AppCommand(NamedTuple):
    """One command of an app.

    Attributes:
        name: Its name.
        about: Its purpose, in one line.
        options: The names of the options that it takes.
        client: File and name of the class of its terminal part, or `None`.
    """

    name: str
    about: str
    options: tuple[str, ...]
    client: dict[str, str] | None


def read_commands(run: RunSummary) -> list[AppCommand]:
    """Return the commands of an app, sorted by name.

    Raises:
        CommandError: The app does not answer.
    """
    description = _ask(run, "GET", "/openapi.json")
    if description is None:
        return []
    return [
        _read_command(path.removeprefix(COMMANDS), methods["post"])
        for path, methods in sorted(description["paths"].items())
        if path.startswith(COMMANDS)
    ]


def _read_command(name: str, entry: dict[str, Any]) -> AppCommand:
    lines = str(entry.get("description", "")).splitlines()
    options = tuple(each["name"] for each in entry.get("parameters", ()))
    return AppCommand(name, lines[0] if lines else "", options, entry.get(CLIENT_FIELD))


def give_command(run: RunSummary, name: str, words: Sequence[str], *, may_be_verb: bool = False) -> None:
    """Give a command to an app, and print its answer.

    Args:
        run: The run of the app.
        name: Name of the command.
        words: Its options, as they were typed.
        may_be_verb: Whether the user may have meant a verb, for the error about an unknown command.

    Raises:
        BadInput: The app has no such command, or the command has no such option, needs another one, or does
            not take its value.
        CommandError: The app refuses it, or does not answer.
    """
    commands = {command.name: command for command in read_commands(run)}
    name, words = _join_name(name, words, commands)
    command = commands.get(name)
    if command is None:
        known = f"It has {', '.join(commands)}" if commands else "It has no commands"
        what = (
            f"there is no verb {name!r}, and the app of run {run.id} has no such command"
            if may_be_verb
            else f"the app of run {run.id} has no command {name!r}"
        )
        raise BadInput(f"{what}. {known}.")
    if "--help" in words or "-h" in words:
        shown = " ".join(f"--{option}=..." for option in command.options)
        say(f"{command_line_of(command.name)} {shown}".rstrip())
        say(command.about or "The app says nothing about it.")
        return
    try:
        if command.client is not None:
            _run_client(run, command, words)
        else:
            _show(_ask_with_options(run, command, words))
    except _WrongArguments as error:
        raise BadInput(one_line(str(error), limit=2000)) from None


def _ask_with_options(run: RunSummary, command: AppCommand, words: Sequence[str]) -> Any:
    """Return the answer of an app to a command.

    Raises:
        BadInput: The command has no such option.
        CommandError: The app refuses it, or does not answer.
    """
    options = read_options(words)
    unknown = [option for option in options if option not in command.options]
    if unknown:
        raise BadInput(
            f"the command {command.name} of the app has no option --{unknown[0]}; it takes "
            f"{_list_options(command.options)}."
        )
    return _ask(run, "POST", f"{COMMANDS}{command.name}", urlencode(options))


def _join_name(name: str, words: Sequence[str], known: Collection[str]) -> tuple[str, Sequence[str]]:
    """Return the name of a command and its options: `user command --x=1` may mean `user_command`."""
    joined = name.replace("-", "_")
    for number, word in enumerate(words, 1):
        if joined in known or word.startswith("-"):
            break
        joined += f"_{word.replace('-', '_')}"
        if joined in known:
            return joined, words[number:]
    return name.replace("-", "_"), words


def read_options(words: Sequence[str]) -> dict[str, str]:
    """Return the options of a command by name.

    Raises:
        BadInput: A word is not an option, or an option has no value.

    Example:
        >>> read_options(["--name=Ada", "--age", "36"])
        {'name': 'Ada', 'age': '36'}
    """
    options: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, has_value, value = word.partition("=")
        if name[:2] != "--" or len(name) < 3:
            raise BadInput(f"invalid option {word!r}: write --name=value.")
        if not has_value:
            if not rest:
                raise BadInput(f"the option {name} has no value: write {name}=value.")
            value = rest.pop(0)
        options[name[2:].replace("-", "_")] = value
    return options


def _run_client(run: RunSummary, command: AppCommand, words: Sequence[str]) -> None:
    """Run the terminal part of a command; one whose `run` takes no options reads `sys.argv` itself.

    Raises:
        BadInput: The class can't be loaded, or its `run` does not take these options.
    """
    assert command.client is not None
    kind = _load(command.client["file"], command.client["class"])
    client = kind(_call_nothing)
    client.state = AppState(run=run.id)

    def answer(config: Any) -> Any:
        body = b"" if config is None else json.dumps(config).encode()
        return _ask(run, "POST", f"{COMMANDS}{command.name}", body=body)

    client._answer = answer
    sys.argv = [command.name, *words]
    signature = inspect.signature(client.run)
    options = read_options(words) if signature.parameters else {}
    try:
        signature.bind(**options)
    except TypeError as error:
        raise BadInput(
            f"wrong options for the command {command.name} of the app: {error}; it takes "
            f"{_list_options(signature.parameters)}."
        ) from None
    client.run(**options)


def _list_options(names: Iterable[str]) -> str:
    return ", ".join(f"--{name}" for name in names) or "none"


def _call_nothing() -> None:
    """Stand in for the method, which is in the app."""


def _load(file: str, name: str) -> Any:
    """Return the class of a terminal part.

    Raises:
        BadInput: The file or the class is not there, or another user could have written the file.
    """
    try:
        fd = open_regular(file)
        found = os.fstat(fd)
        os.close(fd)
    except (OSError, TypeError) as error:
        raise BadInput(f"the command needs its file {file!r}, which can't be read: {error}.") from None
    if os.name == "posix" and (found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022):
        raise BadInput(f"the command needs its file {file!r}, which another user can write.")
    install(_INSTALLER)  # the file may import names of Lightning App
    sys.path.insert(0, os.path.dirname(file))
    # With this name, `app.run()` at the end of the file does nothing, as in a child of multiprocessing.
    spec = importlib.util.spec_from_file_location("__mp_main__", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["__mp_main__"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kind: Any = module
    for part in name.split("."):
        kind = getattr(kind, part, None)
    if not (isinstance(kind, type) and issubclass(kind, ClientCommand)):
        raise BadInput(f"the file {file!r} has no class {name} that is a ClientCommand.")
    return kind


def _ask(run: RunSummary, method: str, path: str, query: str = "", body: bytes = b"") -> Any:
    """Return the decoded answer of the app; `None` if it has no API.

    Raises:
        CommandError: The app refuses the request, or does not answer.
    """
    answer = ask(
        run.path,
        "http",
        _ANSWER_LIMIT,
        method=method,
        path=path,
        query=query,
        headers=[("content-type", "application/json")] if body else [],
        body=b64encode(body).decode(),
    )
    content = b64decode(answer["body"])
    if answer["status"] == 404 and not content:
        return None
    data = json.loads(content) if content else None
    if answer["status"] >= 400:
        kind = _WrongArguments if answer["status"] == _WRONG_ARGUMENTS else CommandError
        raise kind(_describe(data, answer["status"]))
    return data


def _describe(data: Any, status: int) -> str:
    """Return why an app has refused a command."""
    detail = data.get("detail") if isinstance(data, dict) else data
    if isinstance(detail, list):  # of FastAPI: which argument is wrong, and why
        return "; ".join(f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in detail)
    return f"{detail or f'the app has answered with the status {status}'}"


def _show(value: Any) -> None:
    if value is not None:
        say(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
