"""`ModelServer`: the base of works that serve a model which a method of theirs builds."""

from __future__ import annotations

from typing import Any

from lightning_lite.components.server_work import ServerWork
from lightning_lite.errors import ComponentDefinitionError


class ModelServer(ServerWork):
    """Base of works with a server for a model.

    Args:
        *args: Arguments of `LightningWork`.
        **kwargs: Arguments of `LightningWork`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The value of `build_model`, in the process that serves."""
        return self._model

    def build_model(self) -> Any:
        """Return the model; override this method. Called before the server starts."""
        raise NotImplementedError(f"{type(self).__qualname__} does not implement build_model().")

    @classmethod
    def _check_overrides(cls, parent: type[ModelServer], *methods: str) -> None:
        """Refuse a class that lacks methods of its own.

        Args:
            parent: The class with the methods to override.
            *methods: Their names.

        Raises:
            ComponentDefinitionError: One is the method of `parent`.
        """
        for name in methods:
            if getattr(cls, name) is getattr(parent, name):
                raise ComponentDefinitionError(
                    f"The work `{cls.__qualname__}` is missing the `{name}()` method."
                )
