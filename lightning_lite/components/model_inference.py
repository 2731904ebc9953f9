"""`ModelInferenceAPI`: a work that serves a model, and takes any JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning_lite.components.model_server import ModelServer
from lightning_lite.errors import ComponentError
from lightning_lite.extras import check_installed
from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.components.http_server import HttpServer

#: Imported by name: only the process of the work needs a server, and not each one has pictures.
_HTTP_SERVER = "lightning_lite.components.http_server"
_IMAGE_TEXT = "lightning_lite.components.image_base64"

_DEFAULT_PORT = 7777

#: The values that `input` and `output` may have.
_KINDS = ("image",)


class ModelInferenceAPI(ModelServer):
    """A server of HTTP that builds a model, and answers `POST /predict` with its predictions.

    A request is the JSON in the body, or the text in the parameter `data` of the address. Predictions are
    made one after the other, in the thread that has built the model. The work is always parallel.

    Args:
        input: `"image"` if `predict` gets a picture of Pillow; the request has its file in Base64.
        output: `"image"` if `predict` returns a picture: one of Pillow, an array or a tensor of pixels.
        host: Address of the server.
        port: Its port; `None` means a free one. If the default is in use, the next free one is taken.
        workers: Stored, but without effect: one process serves.

    Raises:
        ComponentError: `input` or `output` is of no known kind.
        TypeError: The class has no `build_model` or no `predict`.
        ModuleNotFoundError: A package is not installed; the message names the extra that brings it.

    Example:
        >>> class Scale(ModelInferenceAPI):
        ...     def build_model(self):
        ...         return 2
        ...
        ...     def predict(self, data):
        ...         return self.model * data
        >>> Scale(port=8000).port
        8000
    """

    _default_port = _DEFAULT_PORT

    def __init__(
        self,
        input: str | None = None,
        output: str | None = None,
        host: str = "127.0.0.1",
        port: int | None = _DEFAULT_PORT,
        workers: int = 0,
    ) -> None:
        cls = type(self)
        check_installed(cls.__qualname__, "lightning", "fastapi", "uvicorn")
        self._check_overrides(ModelInferenceAPI, "build_model", "predict")
        for argument, kind in (("input", input), ("output", output)):
            if kind is None:
                continue
            if kind not in _KINDS:
                raise ComponentError(
                    f"{cls.__qualname__}({argument}={kind!r}): only {', '.join(map(repr, _KINDS))} is "
                    "supported; for others override deserialize and serialize.",
                    argument=argument,
                    found=kind,
                )
            check_installed(f"{argument}={kind!r}", "lightning", "PIL")
        super().__init__(parallel=True, host=host, port=port)
        self.input = input
        self.output = output
        self.workers = workers

    def predict(self, data: Any) -> Any:
        """Return a prediction; override this method.

        Args:
            data: The value of `deserialize`.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not implement predict().")

    def deserialize(self, data: Any) -> Any:
        """Return the argument of `predict`; not called if `input` is given.

        Args:
            data: The request.

        Raises:
            ValueError: The request is wrong: it is answered with 422 and the message.
        """
        return data

    def serialize(self, data: Any) -> Any:
        """Return the answer, as JSON; not called if `output` is given.

        Args:
            data: The value of `predict`.
        """
        return data

    def run(self) -> None:
        """Serve until the work is stopped.

        Raises:
            OSError: The given port is in use.
        """
        with self._bound_port() as bound:
            read = late_import(_IMAGE_TEXT).decode_image if self.input else self.deserialize
            write = late_import(_IMAGE_TEXT).encode_image if self.output else self.serialize
            self._model = self.build_model()
            server: HttpServer = late_import(_HTTP_SERVER).HttpServer(type(self).__qualname__)
            server.add_json_route("/predict", read, lambda data: write(self.predict(data)))
            server.serve(bound)
