"""A work that reveals a secret. Its process imports this module, so it is light."""

from __future__ import annotations

import os

from lightning_lite import LightningWork, Secret
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class Reveal(LightningWork):
    """Returns whether it has the expected text."""

    def __init__(self, secret: Secret | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._secret = secret

    def run(self, given: Secret | None = None, env: str | None = None) -> str:
        secret = given or self._secret
        if env:
            return os.environ[env][::-1]
        assert secret is not None
        return secret.reveal()[::-1]
