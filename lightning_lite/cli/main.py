"""`lightning-lite`: the group of all verbs. The module of a verb is imported when the verb is called."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any, NoReturn

import click

from lightning_lite import colour_codes
from lightning_lite.cli.click_classes import Command, Group, is_plain
from lightning_lite.distribution import __version__
from lightning_lite.errors import LightningLiteError
from lightning_lite.harmless_text import harmless, one_line
from lightning_lite.late_import import late_import
from lightning_lite.verbs import VERBS

_HELP = """Lightning Apps without the cloud, the account and the server.

A RUN is the name of a run, its id, or a unique part of the id: its beginning, or its last digits. Without
RUN, a verb takes the run that is still running, or else the latest one. A WORK is the name of a work, or the
end of it.

\b
Examples:
  lightning-lite init app words
  lightning-lite run app.py
  lightning-lite ps
  lightning-lite logs -f train
  lightning-lite stop
"""


def _load(verb: str | None) -> Any:
    """Return the module of a verb."""
    return late_import(f"lightning_lite.cli.verbs.{verb}")


class _Verbs(Group):
    """Has all verbs by name, and imports the one that is called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0][:1] != "-" and args[0] not in self.commands:
            found = _load("app").command_named(args[0])
            if found is not None:
                return args[0], found, args[1:]
        name, found, rest = super().resolve_command(ctx, args)
        return name, found and _load(name).command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the table


group = _Verbs(
    "lightning-lite",
    commands={name: Command(name, short_help=line) for name, line in VERBS.items()},
    help=_HELP,
    context_settings={"help_option_names": ["-h", "--help"]},
)
click.version_option(__version__, message="%(prog)s %(version)s")(group)


def has_colour() -> bool:
    """Return whether the output may have colours."""
    return not (is_plain() or colour_codes.has_no_colour())


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line, and exit with its exit code.

    Args:
        args: The arguments without the name of the program; the default is `sys.argv[1:]`.
    """
    try:
        code = group.main(args, group.name, standalone_mode=False, color=None if has_colour() else False)
    except click.Abort as error:  # click raises it for Ctrl-C, and at the end of the input
        code = 130 if isinstance(error.__context__, KeyboardInterrupt) else 1
        _say_notes(error.__context__)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (LightningLiteError, OSError) as error:
        code = 1
        if isinstance(error, OSError) and error.errno == errno.EPIPE:  # `lightning-lite ps | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        else:
            click.echo(f"Error: {one_line(str(error), limit=2000)}", err=True)
            _say_notes(error)
    sys.exit(code if isinstance(code, int) else 0)


def _say_notes(error: BaseException | None) -> None:
    for note in getattr(error, "__notes__", ()):
        click.echo(harmless(note), err=True)
