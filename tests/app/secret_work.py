"""A work that reveals a secret. Its process imports this module, so it is light."""

from __future__ import annotations

import os

from lightning_lite import LightningWork


class Reveal(LightningWork):
    """Returns whether it has the expected text."""

    def __init__(self, secret=None, **options):
        super().__init__(**options)
        self._secret = secret

    def run(self, given=None, env=None):
        secret = given or self._secret
        return (os.environ[env] if env else secret.reveal())[::-1]
