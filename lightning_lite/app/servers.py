"""What other programs use to reach a running app: its command channel, its API and its page."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from lightning_lite.app.api_routes import collect_routes
from lightning_lite.app.commands import Api
from lightning_lite.app.flow_commands import collect_commands, hidden_by_verbs
from lightning_lite.app.flow_requests import FlowRequests
from lightning_lite.app.reporting import print_notice
from lightning_lite.app.resume import name_of_app
from lightning_lite.app.shown_layout import ShownLayout
from lightning_lite.app.web_page import WebPage
from lightning_lite.context import Caller, acting_as
from lightning_lite.extras import API_PACKAGES, UI_PACKAGES, install_command, missing_package
from lightning_lite.late_import import late_import
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.command_channel import CommandChannel, Later
from lightning_lite.runs.folder import RunFolder
from lightning_lite.tree.flow import LightningFlow

_log = logging.getLogger("lightning_lite")


class Servers:
    """The servers of one app. It runs without those that can't be opened, and a line says so.

    Args:
        root: The root flow.
        options: The options of the run.
        folder: The folder of the run.
        layout: The layout of the flows, which the page shows.

    Attributes:
        api: The API of the app, or `None` if it has none.
        accepts_handlers: Whether a request from outside may run a function of the flow.
    """

    def __init__(
        self, root: LightningFlow, options: RunOptions, folder: RunFolder, layout: ShownLayout
    ) -> None:
        self.api: Api | None = None
        self.accepts_handlers = False
        self._root = root
        self._options = options
        self._folder = folder
        self._layout = layout
        self._has_routes = False  # commands need no page
        self._channel: CommandChannel | None = None
        self._page: WebPage | None = None
        self._is_page_decided = False

    def open_api(self, caller: Caller, requests: FlowRequests) -> None:
        """Collect the routes and commands of the flows.

        Args:
            caller: The flow, in whose name its methods are called.
            requests: Takes the requests to the flow.

        Raises:
            ComponentDefinitionError: A flow returns something else.
        """
        with acting_as(caller):
            routes, commands = collect_routes(self._root), collect_commands(self._root)
        if not routes and not commands:
            return
        why_not = ""
        if package := missing_package(*API_PACKAGES):
            why_not = f"it needs {package}, which is not installed ({install_command('lightning')})"
        if not self._options.command_channel:
            why_not = "it needs the command channel, which is switched off"
        if why_not:
            what = "API of this app is not served" if routes else "commands of this app can't be given"
            print_notice(f"The {what}: {why_not}.")
            return
        for note in hidden_by_verbs(commands):
            print_notice(note)
        # By its name, because most apps have no API: asyncio would cost each of them 40 ms.
        app_api = late_import("lightning_lite.app.app_api")
        self.api = app_api.AppApi(name_of_app(self._root), [*routes, *commands], requests)
        self._has_routes = bool(routes)
        # Without a page, no server hands routes on, so an app with routes alone may rest.
        self.accepts_handlers = bool(commands) or self._options.ui is not False

    def open_channel(self, answer: Callable[[dict[str, Any]], dict[str, Any] | Later]) -> None:
        """Open the command channel, over which requests reach the API, too.

        Args:
            answer: Answers a command.
        """
        if not self._options.command_channel:
            return
        try:
            self._channel = CommandChannel(self._folder.path, answer)
        except (OSError, RuntimeError) as error:
            _log.info("the app takes no commands from other terminals: %s", error)
            if self.api is not None:
                self.api.close()
                self.api, self._has_routes, self.accepts_handlers = None, False, False
                print_notice(
                    "The API and the commands of this app can't be used: requests reach it over the command "
                    f"channel, which can't be opened ({error})."
                )

    def open_page(self, say: Callable[[str], None]) -> None:
        """Start the server of the page, once, if it is asked for, or if a flow shows something or serves.

        Args:
            say: Prints a line that is not logged.
        """
        options = self._options
        is_wanted = options.ui or self._layout.is_wanted or self._has_routes
        if self._is_page_decided or options.ui is False or not is_wanted:
            return
        self._is_page_decided = True
        if missing_package(*UI_PACKAGES):
            print_notice(f"This app has pages for a browser; to see them: {install_command('ui')}")
            return
        self._page = WebPage.start(self._folder.id, options, say)
        if self._page is not None:
            self._layout.serve(self._folder.frontends, say)

    def close_channel(self) -> None:
        """Close the command channel, then the API."""
        try:
            if self._channel is not None:
                self._channel.close()
        finally:
            if self.api is not None:
                self.api.close()

    def close_page(self) -> None:
        """Close the page, which shows to the end how the run has ended."""
        if self._page is not None:
            self._page.close()
