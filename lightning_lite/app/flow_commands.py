"""Collects the commands that `configure_commands` of flows returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from lightning_lite.api import Post, Route
from lightning_lite.client_command import ClientCommand
from lightning_lite.errors import ComponentDefinitionError
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.verbs import command_line_of

#: Begins the addresses of commands in the API of an app, which the server of the page does not hand on.
COMMANDS = "/command/"

#: The field in the description of a command with the file and the name of the class of its terminal part.
CLIENT_FIELD = "x-client-command"


def collect_commands(root: LightningFlow) -> list[Route]:
    """Return a route for each command of all flows, the commands of the root first.

    A command that a flow has from a flow below it counts once.

    Raises:
        ComponentDefinitionError: A flow returns something else, or one name for two methods; the message
            names the flow.

    Example:
        >>> from lightning_lite.testing import EmptyFlow
        >>> collect_commands(EmptyFlow())
        []
    """
    found: dict[str, Route] = {}
    for flow in (root, *root.flows.values()):
        configure = getattr(flow, "configure_commands", None)
        for name, command in [] if configure is None else _commands_of(flow, configure()):
            route = _command_route(flow, name, command)
            known = found.setdefault(route.route, route)
            if known.method != route.method:
                raise ComponentDefinitionError(
                    f"configure_commands of {flow.name}: {name!r} is the name of two commands; rename one."
                )
    return list(found.values())


def _commands_of(flow: LightningFlow, commands: object) -> Iterable[tuple[str, Any]]:
    """Yield the names and methods that a flow returned.

    Raises:
        ComponentDefinitionError: They are something else.
    """
    if isinstance(commands, dict):
        commands = [commands]
    if not isinstance(commands, list | tuple) or not all(isinstance(each, dict) for each in commands):
        raise ComponentDefinitionError(
            f"configure_commands of {flow.name} must return a list of dicts, each with the name of a command "
            f"and a method. Found {commands!r}"
        )
    for each in commands:
        yield from each.items()


def _command_route(flow: LightningFlow, name: object, command: object) -> Route:
    if not isinstance(name, str) or not name.replace(" ", "_").replace("-", "_").isidentifier():
        raise ComponentDefinitionError(
            f"configure_commands of {flow.name}: a command has a name of letters, digits, spaces, - and _. "
            f"Found {name!r}"
        )
    kwargs: dict[str, Any] = {"tags": ["app_command"]}
    method: Callable[..., Any]
    if isinstance(command, ClientCommand):
        method, kind = command.method, type(command)
        client = {"file": inspect.getsourcefile(kind), "class": kind.__qualname__}
        kwargs = {"tags": ["app_client_command"], "openapi_extra": {CLIENT_FIELD: client}}
        kwargs["description"] = kind.description or inspect.getdoc(kind) or ""
    elif callable(command):
        method = command
    else:
        raise ComponentDefinitionError(
            f"configure_commands of {flow.name}: {name!r} must lead to a method or a ClientCommand. "
            f"Found {command!r}"
        )
    return Post(f"{COMMANDS}{name.replace(' ', '_').replace('-', '_')}", method, **kwargs)


def hidden_by_verbs(commands: Iterable[Route]) -> list[str]:
    """Return a line for each command that has the name of a verb of the command line: how to give it.

    Args:
        commands: The commands that `collect_commands` has returned.
    """
    lines = []
    for name in (command.route.removeprefix(COMMANDS) for command in commands):
        typed = command_line_of(name)
        if typed != name:
            lines.append(
                f"This app has a command {name}, which is a verb of lightning-lite, too: "
                f"`lightning-lite {typed}` gives it to the app."
            )
    return lines
