"""`ServeGradio`: a work with a page of Gradio for a model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from lightning_lite.components.model_server import ModelServer
from lightning_lite.errors import ComponentDefinitionError
from lightning_lite.extras import check_installed
from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.components.http_server import HttpServer

#: Imported by name: only the process of the work needs a server.
_HTTP_SERVER = "lightning_lite.components.http_server"

#: Whether Gradio reports its use to its makers, if the user has not said so.
_ANALYTICS = "GRADIO_ANALYTICS_ENABLED"


class ServeGradio(ModelServer):
    """A page of Gradio on which people try out a model.

    A plain `predict` runs in the thread that has built the model, one request after the other. Programs can
    ask, too: the page describes its API. Gradio reports nothing to its makers, unless
    `GRADIO_ANALYTICS_ENABLED` says so.

    Args:
        *args: Arguments of `LightningWork`.
        theme: Theme of Gradio.
        **kwargs: Arguments of `LightningWork`.

    Attributes:
        inputs: Inputs of `predict`: a component of Gradio, its name, or a list of them. Set it in the class.
        outputs: Outputs of `predict`, in the same form. Set it in the class.
        examples: Values of the inputs that people can choose.
        enable_queue: Without effect: there always is a queue.
        title: Heading of the page.
        description: Text below it.

    Raises:
        TypeError: The class has no `inputs`, `outputs`, `build_model` or `predict`.
        ModuleNotFoundError: Gradio is not installed; the message names the extra that brings it.
    """

    inputs: Any = None
    outputs: Any = None
    examples: list[Any] | None = None
    enable_queue: bool = False
    title: str | None = None
    description: str | None = None

    def __init__(self, *args: Any, theme: Any = None, **kwargs: Any) -> None:
        cls = type(self)
        check_installed(cls.__qualname__, "gradio", "gradio")
        check_installed(cls.__qualname__, "lightning", "fastapi", "uvicorn")
        self._check_overrides(ServeGradio, "build_model", "predict")
        for name in ("inputs", "outputs"):
            if not getattr(cls, name):
                raise ComponentDefinitionError(
                    f"The work `{cls.__qualname__}` is missing the class attribute `{name}`, for example "
                    f'{name} = "text".'
                )
        super().__init__(*args, **kwargs)
        self._theme = theme

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the values of the outputs; override this method.

        Args:
            *args: The positional arguments of `run`, then the values of the inputs.
            **kwargs: The named arguments of `run`.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not implement predict().")

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Serve the page until the work is stopped.

        Args:
            *args: Passed on to `predict`.
            **kwargs: Passed on to `predict`.

        Raises:
            OSError: The given port is in use.
        """
        with self._bound_port() as bound:
            if self._model is None:
                self._model = self.build_model()
            server: HttpServer = late_import(_HTTP_SERVER).HttpServer(type(self).__qualname__)
            self._mount_page(server, partial(self.predict, *args, **kwargs))
            server.serve(bound)

    def _mount_page(self, server: HttpServer, predict: Callable[..., Any]) -> None:
        os.environ.setdefault(_ANALYTICS, "False")
        import gradio  # noqa: PLC0415 - it takes seconds, and only the process of the work needs it

        async def ask(*values: Any) -> Any:
            return await server.call(predict, *values)

        is_plain = not any(
            test(self.predict)
            for test in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        )
        function: Any = ask if is_plain else predict
        function.__name__ = "predict"  # the name in the API of the page
        page = gradio.Interface(
            fn=function,
            inputs=_fresh(self.inputs),
            outputs=_fresh(self.outputs),
            examples=self.examples,
            title=self.title,
            description=self.description,
            analytics_enabled=os.environ[_ANALYTICS] == "True",
        )
        # Not `launch()`: that starts a server of its own, with threads that a stop does not end.
        gradio.mount_gradio_app(
            server.api, page, path="", ssr_mode=False, show_error=False, theme=self._theme
        )


def _fresh(given: Any) -> Any:
    """Return components of Gradio that are made in this process, in place of received ones.

    Gradio numbers components in each process from 0 on, so a received one could have the number of another.
    """
    if isinstance(given, list | tuple):
        return [_fresh(each) for each in given]
    arguments = getattr(given, "constructor_args", None)
    return given if arguments is None else type(given)(**arguments)
