"""A program that gives one message to the package `apprise`, in a process of its own.

    {"address": ..., "message": {...} or null} ─▶ python -m lightning_lite.app.apprise_program
                                                  ─▶ {"known": ..., "sent": ..., "warnings": [...]}

apprise takes half a second to import, keeps threads, and imports the code of a hundred services. Here none of
that stays in the process of the app, and a service that hangs can be ended.
"""

from __future__ import annotations

import json
import logging
import sys


class _Collector(logging.Handler):
    """Keeps the records that apprise logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def main() -> None:
    """Read an address and a message; write whether the address is known, the message sent, and warnings."""
    # Not at the top: it sets up loggers, and the works of a process that imports this module take these over.
    import apprise  # noqa: PLC0415

    asked = json.load(sys.stdin)
    log, collector = logging.getLogger("apprise"), _Collector()
    log.addHandler(collector)
    log.propagate = False
    services = apprise.Apprise()
    is_known = bool(services.add(asked["address"]))
    is_sent = False
    if is_known and asked["message"] is not None:
        is_sent = bool(services.notify(**asked["message"], body_format=apprise.NotifyFormat.TEXT))
    json.dump({"known": is_known, "sent": is_sent, "warnings": collector.messages}, sys.stdout)


if __name__ == "__main__":
    main()
