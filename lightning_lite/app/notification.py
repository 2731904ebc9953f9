"""Sends a message about the end of a run to a chat, a mailbox or another service, with `apprise`.

The address is an URL of apprise, such as `slack://...` or `mailto://...`. It mostly contains a password or a
token, so it is masked everywhere, and works do not get it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lightning_lite.distribution import NAME
from lightning_lite.errors import SettingError
from lightning_lite.harmless_text import one_line
from lightning_lite.masking import mask, register
from lightning_lite.process_places import this_host
from lightning_lite.quantity_text import format_seconds
from lightning_lite.runners.processes.spawn import search_path
from lightning_lite.setting_kinds import OFF
from lightning_lite.settings import NOTIFY_VARIABLE, SETTINGS, show_value
from lightning_lite.tracebacks import text_of

if TYPE_CHECKING:
    from lightning_lite.app.end_hooks import RunEnd

_PROGRAM = "lightning_lite.app.apprise_program"

#: Seconds after which a message is given up.
_TIMEOUT = 60.0

#: Title and kind of a message, for each end of a run.
_TITLES = {
    "stopped": ("{} has ended", "success"),
    "failed": ("{} has failed", "failure"),
    "interrupted": ("{} was interrupted", "warning"),
}

#: Maximum number of characters of the error in a message.
_ERROR_LIMIT = 500


class Notifier:
    """Sends messages to an address.

    Args:
        address: An URL of apprise, or several with commas between them.

    Raises:
        SettingError: apprise is not installed, or knows no such address.
    """

    def __init__(self, address: str) -> None:
        if find_spec("apprise") is None:
            raise SettingError(
                f'notify needs the package apprise, which is not installed: pip install "{NAME}[notify]", or '
                f"switch messages off with {NOTIFY_VARIABLE}={OFF}",
                setting="notify",
            )
        for part in (address, *address.replace(",", " ").split()):
            register(part)
            register(part.partition("://")[2])
        self._address = address
        if not self._ask(None)["known"]:
            found = show_value(SETTINGS["notify"], address)
            raise SettingError(
                f"notify must be an address of a service that apprise knows. Found {found}", setting="notify"
            )

    def send(self, end: RunEnd) -> None:
        """Send a message about the end of a run; it takes some seconds if the service does not answer.

        Raises:
            ConnectionError: A service has not taken the message.
        """
        title, kind = _TITLES[end.state]
        answer = self._ask({"title": title.format(end.app), "body": describe(end), "notify_type": kind})
        if not answer["sent"]:
            reason = "; ".join(answer["warnings"]) or "apprise gives no reason"
            raise ConnectionError(one_line(mask(f"the message was not sent: {reason}")))

    def _ask(self, message: dict[str, str] | None) -> dict[str, Any]:
        """Return the output of the program about a message, or without one, about the address.

        Raises:
            ConnectionError: It has not answered.
        """
        try:
            done = subprocess.run(
                # With -P: the working directory may have modules with the names of others.
                [sys.executable, "-P", "-W", "ignore", "-m", _PROGRAM],
                input=json.dumps({"address": self._address, "message": message}),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(search_path())},
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConnectionError(f"the service has not answered within {_TIMEOUT:g} s") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise ConnectionError(one_line(mask(f"apprise has failed: {last}")))
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def describe(end: RunEnd) -> str:
    """Return the text of the message about the end of a run, without secrets.

    Example:
        >>> from lightning_lite.app.end_hooks import RunEnd
        >>> end = RunEnd("Train", "", "lr-0.1", ("sweep",), "", "failed", ValueError("no data"), 63.0)
        >>> print(describe(end).partition(" on ")[0])
        ValueError: no data
        run lr-0.1, tags sweep
    """
    run = " ".join(filter(None, (end.name, f"({end.run_id})" if end.name and end.run_id else end.run_id)))
    tags = f", tags {', '.join(end.tags)}" if end.tags else ""
    lines = [
        one_line(mask(f"{type(end.error).__name__}: {text_of(end.error)}"), _ERROR_LIMIT)
        if end.error is not None and end.state == "failed"
        else "",
        f"run {run or 'did not begin'}{tags} on {this_host()}, after {format_seconds(end.duration)}",
        f"folder {end.folder}" if end.folder else "",
    ]
    return "\n".join(filter(None, lines))
