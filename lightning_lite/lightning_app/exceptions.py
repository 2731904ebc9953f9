"""Errors of Lightning App that this package has no error for; apps raise and catch them."""

from __future__ import annotations


class MisconfigurationException(Exception):
    """Something was set up wrongly; raised here if a file has no app, or a command of `--setup` fails."""


class InvalidPathException(Exception):
    """A path is invalid; never raised here."""


class LightningAppStateException(Exception):
    """The state of the app is invalid; never raised here."""


class LightningPlatformException(Exception):
    """The cloud has failed; raised here by functions that need it."""


class LogLinesLimitExceeded(Exception):
    """The cloud returns no more lines of a log; never raised here."""
