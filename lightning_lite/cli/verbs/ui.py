"""`lightning-lite ui`: serves the page on which a browser shows runs."""

from __future__ import annotations

import os

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import (
    BadInput,
    check_root,
    drives_option,
    examples,
    plain_option,
    root_option,
)
from lightning_lite.cli.output import say
from lightning_lite.cli.targets import find_run
from lightning_lite.errors import SettingError
from lightning_lite.extras import UI_PACKAGES, check_setting
from lightning_lite.late_import import late_import
from lightning_lite.sockets import is_loopback
from lightning_lite.store_url import is_url


@click.command(
    "ui",
    cls=Command,
    epilog=examples("ui", "ui 9f3ac2", "ui --port 9000 --no-browser", "ui --read-only"),
)
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to bind; with another one, other machines can reach the page.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8765,
    show_default=True,
    metavar="PORT",
    help="Port; if it is in use, the next free one. 0 takes any.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address, and open no browser.")
@click.option("--read-only", is_flag=True, help="Refuse to stop, kill, restart and resume.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="File with the token, so that it is the same at each start; created if it is missing.",
)
@click.option("--with-parent", is_flag=True, hidden=True, help="End with the standard input.")
@root_option
@drives_option
@plain_option
@click.pass_context
def command(
    ctx: click.Context,
    root: str,
    drives: str | None,
    run: str | None,
    host: str,
    port: int,
    no_browser: bool,
    read_only: bool,
    token_file: str | None,
    with_parent: bool,
) -> None:
    """Show the runs in a browser, or RUN: works, timeline, logs, state and drives.

    Nothing else has to run: the page reads the folder of the runs, and running apps answer it. The printed
    address has a token; without it, the server answers nothing. Ctrl-C ends the server, not the runs.
    """
    try:
        check_setting("ui", "ui", *UI_PACKAGES)
        if is_url(drives):
            check_setting("drives", "s3", "obstore")
    except SettingError as error:
        raise BadInput(f"{error}.") from None
    # Where no app has run yet, there are no runs; a folder that was named is more likely a mistake.
    if ctx.get_parameter_source("root") is click.core.ParameterSource.COMMANDLINE or os.path.lexists(root):
        check_root(root)
    run_id = None if run is None else find_run(root, run).id
    # By their names, because they need the extra.
    server = late_import("lightning_lite.web.server")
    server_context = late_import("lightning_lite.web.server_context").ServerContext(
        root, run_id, read_only=read_only, place=drives
    )
    try:
        token = None if token_file is None else server.token_in(token_file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"--token-file {token_file}: {reason}.") from None
    try:
        page = server.PageServer(server_context, host, port, token)
    except OSError as error:
        raise BadInput(f"{host}:{port} can't be served: {error.strerror or error}.") from None
    if not is_loopback(host):
        say(
            "Warning: other machines can reach this server, and the connection is not encrypted. All users "
            "who learn the address can read and control the runs.",
            "yellow",
        )
    say(page.address if with_parent else f"The page: {page.address}")
    opens_browser = not (with_parent or no_browser) and server.can_open_browser()
    page.run(with_parent=with_parent, opens_browser=opens_browser)
