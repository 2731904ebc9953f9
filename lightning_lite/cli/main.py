"""`lightning-lite`: the group of all verbs, each in a module that is imported when it is used."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import NoReturn

import click

from lightning_lite import settings
from lightning_lite.cli.command_classes import Command, Group, is_plain
from lightning_lite.errors import LightningLiteError
from lightning_lite.text import one_line

#: The verbs in the order of their help: `command` in `lightning_lite.cli.verbs.<verb>`.
VERBS = {
    "run": "Run the app in a file.",
    "resume": "Resume a run that failed, was interrupted or died.",
    "ps": "List the runs.",
    "status": "Show the flows and works of a run.",
    "top": "Watch a run.",
    "logs": "Show what works have printed.",
    "stop": "End a run or a work in order.",
    "kill": "End a run or a work at once.",
    "restart": "Give a work a new process.",
    "stack": "Show what a work is doing: its Python stacks.",
    "timeline": "Write the calls of a run as a trace.",
    "clean": "Remove old runs.",
    "drive": "List drives, put files in and get files out.",
    "doctor": "Check this machine, and run a small app on it.",
}

_HELP = """Lightning Apps without the cloud, the account and the server.

A RUN is its id or any part of it that is unique. Without one, a verb takes the run that is still running,
or else the latest one. A WORK is its name, with or without "root." before it.

\b
Examples:
  lightning-lite run app.py
  lightning-lite ps
  lightning-lite logs -f train
  lightning-lite stop
"""


class _Verbs(Group):
    """Knows all verbs by name, and loads the one that is called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and import_module(f"lightning_lite.cli.verbs.{name}").command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the table


group = _Verbs(
    "lightning-lite",
    commands={name: Command(name, short_help=line) for name, line in VERBS.items()},
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(settings.VERSION, message="%(prog)s %(version)s")(group)


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line, and end this process with its exit code.

    Args:
        args: What stands behind the name of the program; `sys.argv` if not given.
    """
    try:
        code = group.main(args, group.name, standalone_mode=False, color=False if is_plain() else None)
    except click.Abort as error:  # what click makes of Ctrl-C, and of the end of the input
        code = 130 if isinstance(error.__context__, KeyboardInterrupt) else 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (LightningLiteError, OSError) as error:
        code = 1
        if isinstance(error, OSError) and error.errno == errno.EPIPE:  # `lightning-lite ps | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        else:
            click.echo(f"Error: {one_line(str(error), limit=2000)}", err=True)
    sys.exit(code if isinstance(code, int) else 0)
