"""`ClientCommand`: a command of an app with a part that runs in the terminal in which it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from lightning_lite.errors import ComponentDefinitionError, DetachedError


class ClientCommand:
    """A command that `configure_commands` of a flow returns, with a part in the terminal; override `run`.

    `lightning-lite NAME --x=y` loads the class from its file on this machine, and calls `run(x="y")` there.
    `run` asks the app with `invoke_handler`.

    Args:
        method: The method of the flow that answers.
        requirements: Packages that `run` needs; stored, without effect.

    Attributes:
        state: In the terminal, the `AppState` of the app.

    Raises:
        ComponentDefinitionError: The method is none.

    Example:
        >>> class Add(ClientCommand):
        ...     def run(self, number):
        ...         print(self.invoke_handler({"number": int(number)}))
        >>> command = Add(print)
        >>> command._answer = lambda config: config["number"] + 1  # the terminal does that
        >>> command.run("2")
        3
    """

    #: A description in one line.
    description: ClassVar[str] = ""

    def __init__(self, method: Callable[..., Any], requirements: list[str] | None = None) -> None:
        if not callable(method):
            raise ComponentDefinitionError(
                f"{type(self).__qualname__}(method): the method must be one of a flow. Found {method!r}"
            )
        self.method = method
        self.requirements = list(requirements or ())
        self.state: Any = None
        self._answer: Callable[[Any], Any] | None = None

    def run(self, *args: Any, **cli_kwargs: Any) -> None:
        """Do the part in the terminal; override it.

        Args:
            *args: None; so that an override may name its arguments.
            **cli_kwargs: The options of the command line, as texts.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not override run().")

    def invoke_handler(self, config: Any = None) -> Any:
        """Call the method of the flow, and return its value as JSON has it.

        Args:
            config: Its argument: a pydantic model, or plain data; `None` for a method without one.

        Raises:
            DetachedError: It is called in the app, and not in a terminal.
            CommandError: The app refuses it, or does not answer.
        """
        if self._answer is None:
            raise DetachedError(
                f"{type(self).__qualname__}.invoke_handler works only in the terminal that gives the command."
            )
        return self._answer(config.model_dump(mode="json") if hasattr(config, "model_dump") else config)
