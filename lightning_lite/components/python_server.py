"""`PythonServer`: a work that answers requests with the values of a method."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lightning_lite.components.sample_types import DefaultInput, DefaultOutput, check_model, code_sample
from lightning_lite.components.server_work import ServerWork
from lightning_lite.errors import ComponentDefinitionError
from lightning_lite.extras import check_installed
from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.components.http_server import HttpServer

#: Imported by name: only the process of the work needs a server.
_HTTP_SERVER = "lightning_lite.components.http_server"


class PythonServer(ServerWork):
    """A server of HTTP that answers `POST /predict` with the value of your method `predict`.

    The body of a request is checked against `input_type`, and answered with 422 and the name of the wrong
    field if it does not fit. `/docs` shows the API, `/openapi.json` describes it. The work is always
    parallel.

    A plain `predict` runs in the thread that has run `setup`, one request after the other. An `async` one
    runs in the event loop of the server, many at once.

    Args:
        input_type: Model of pydantic for requests; by default one with the text `payload`.
        output_type: Model of pydantic for answers; by default one with the text `prediction`.
        **kwargs: Arguments of `LightningWork`.

    Raises:
        TypeError: A type is not a model of pydantic, or the class has no `predict`.
        ModuleNotFoundError: FastAPI is not installed; the message names the extra that brings it.

    Example:
        >>> class Shout(PythonServer):
        ...     def predict(self, request):
        ...         return {"prediction": request.payload.upper()}
        >>> Shout().configure_input_type().model_fields.keys()
        dict_keys(['payload'])
    """

    def __init__(
        self, input_type: type = DefaultInput, output_type: type = DefaultOutput, **kwargs: Any
    ) -> None:
        check_installed(type(self).__qualname__, "lightning", "fastapi", "uvicorn")
        if type(self).predict is PythonServer.predict:
            raise ComponentDefinitionError(
                f"The work `{type(self).__qualname__}` is missing the `predict()` method: it gets a "
                "request, and returns the answer."
            )
        super().__init__(**{**kwargs, "parallel": True})
        check_model("input_type", input_type)
        check_model("output_type", output_type)
        self._input_type = input_type
        self._output_type = output_type

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; override it to load a model. Called once per call of `run`, before the server starts.

        Args:
            *args: The arguments of `run`.
            **kwargs: The arguments of `run`.
        """

    def predict(self, request: Any) -> Any:
        """Return the answer to a request; override this method, which may be `async`.

        An `HTTPException` of FastAPI becomes an answer with its status. Any other exception is answered with
        500, and its traceback is in the log of the work.

        Args:
            request: The body, an `input_type`.

        Returns:
            An `output_type`, or a dict with its fields.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not implement predict().")

    def configure_input_type(self) -> type:
        """Return the model of requests; override it to choose one later than in `__init__`."""
        return self._input_type

    def configure_output_type(self) -> type:
        """Return the model of answers; override it to choose one later than in `__init__`."""
        return self._output_type

    def get_code_sample(self, url: str) -> str | None:
        """Return a program that sends a request, or `None` if the types have no sample.

        Args:
            url: Address of the server with the path.
        """
        return code_sample(self.configure_input_type(), self.configure_output_type(), url)

    def run(self, *args: Any, **kwargs: Any) -> None:
        """Serve until the work is stopped.

        Args:
            *args: Passed on to `setup`.
            **kwargs: Passed on to `setup`.

        Raises:
            OSError: The given port is in use.
        """
        with self._bound_port() as bound:
            self.setup(*args, **kwargs)
            server: HttpServer = late_import(_HTTP_SERVER).HttpServer(type(self).__qualname__)
            self._add_route(server)
            server.serve(bound)

    def _add_route(self, server: HttpServer) -> None:
        async def predict(request: Any) -> Any:
            if inspect.iscoroutinefunction(self.predict):
                return await self.predict(request)
            return await server.call(self.predict, request)

        predict.__annotations__ = {"request": self.configure_input_type()}
        server.add_route("/predict", predict, response_model=self.configure_output_type())
