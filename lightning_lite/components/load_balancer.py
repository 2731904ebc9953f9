"""`LoadBalancer`: a work that passes requests on to several servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning_lite.components.cold_start_proxy import ColdStartProxy
from lightning_lite.components.sample_types import checked_type, code_sample
from lightning_lite.components.server_work import ServerWork
from lightning_lite.errors import ComponentValueError
from lightning_lite.extras import check_installed
from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.components.balancer_api import BalancerApi
    from lightning_lite.components.http_server import HttpServer

#: Imported by name: only the process of the work needs a server.
_HTTP_SERVER = "lightning_lite.components.http_server"
_BALANCER_API = "lightning_lite.components.balancer_api"
_SERVER_ROTATION = "lightning_lite.components.server_rotation"

#: Paths of the balancer itself.
_OWN_PATHS = ("/", "/docs", "/redoc", "/openapi.json", "/num-requests", "/system/info")


class LoadBalancer(ServerWork):
    """A server that collects requests, and passes them on to other servers in batches; see `AutoScaler`.

    A server gets `{"inputs": [...]}` with at most `max_batch_size` requests, one batch after the other, and
    returns `{"outputs": [...]}` in the same order. If a server refuses a batch, the
    balancer sends it each request of that batch alone, so that each client has its own answer or its own
    error. A server that can't be reached gets no requests until it answers again; those that it had go to
    another server. At most two servers get a request. Each of them gets it again if it closes the connection
    without an answer.

    Args:
        input_type: Type of requests, for example a model of pydantic.
        output_type: Type of answers.
        endpoint: Path of the requests, here and at the servers.
        max_batch_size: How many requests a server gets at the same time.
        timeout_batching: Seconds after the last batch for which an incomplete batch waits.
        timeout_keep_alive: Seconds after which an idle connection of a client is closed.
        timeout_inference_request: Seconds for a request, with the time in which it waits.
        api_name: Title of the description.
        cold_start_proxy: Answers while no server is ready or all are busy: its address, or a
            `ColdStartProxy`.
        server_endpoint: Path of the requests at the servers, if it is another one.
        is_batched: Whether servers get batches. If not, they get each request as it is, up to
            `max_batch_size` at the same time.
        **kwargs: Arguments of `LightningWork`.

    Attributes:
        servers: The addresses of the servers; set it in the flow, at any time.
        in_use: The servers that have requests or may get some. One that is not in `servers` any more stays
            here until its last request is answered.
        num_requests: Number of requests that have no answer yet, as of the last quarter of a second.

    Raises:
        ComponentError: An argument is invalid; the message names it. It is a `ValueError`.
        ModuleNotFoundError: A package is not installed; the message names the extra that brings it.

    Example:
        >>> LoadBalancer(dict, dict, "api/predict").endpoint
        '/api/predict'
    """

    def __init__(
        self,
        input_type: Any,
        output_type: Any,
        endpoint: str,
        max_batch_size: int = 8,
        timeout_batching: float = 1,
        timeout_keep_alive: int = 60,
        timeout_inference_request: float = 60,
        api_name: str | None = "API",
        cold_start_proxy: ColdStartProxy | str | None = None,
        *,
        server_endpoint: str | None = None,
        is_batched: bool = True,
        **kwargs: Any,
    ) -> None:
        check_installed("LoadBalancer", "lightning", "fastapi", "uvicorn", "httpx")
        super().__init__(**{**kwargs, "parallel": True})
        _check_number("max_batch_size", max_batch_size, least=1, is_whole=True)
        _check_number("timeout_batching", timeout_batching, least=0)
        _check_number("timeout_keep_alive", timeout_keep_alive, least=0, is_whole=True)
        _check_number("timeout_inference_request", timeout_inference_request, least=0.001)
        if isinstance(cold_start_proxy, str):
            cold_start_proxy = ColdStartProxy(cold_start_proxy) if cold_start_proxy else None
        elif not isinstance(cold_start_proxy, ColdStartProxy | None):
            raise ComponentValueError(
                f"cold_start_proxy must be of type ColdStartProxy or str; found {cold_start_proxy!r}.",
                argument="cold_start_proxy",
                found=cold_start_proxy,
            )
        self.endpoint = _as_path("endpoint", endpoint)
        if self.endpoint in _OWN_PATHS:
            raise ComponentValueError(
                f"endpoint={endpoint!r}: the load balancer needs this path itself; choose another one.",
                argument="endpoint",
                found=endpoint,
            )
        self.max_batch_size = max_batch_size
        self.timeout_batching = timeout_batching
        self.servers: list[str] = []
        self.in_use: list[str] = []
        self.num_requests = 0
        self._server_endpoint = _as_path("server_endpoint", server_endpoint or endpoint)
        self._is_batched = is_batched
        self._input_type = checked_type("input_type", input_type)
        self._output_type = checked_type("output_type", output_type)
        self._timeout_keep_alive = timeout_keep_alive
        self._timeout_inference_request = timeout_inference_request
        self._api_name = api_name
        self._cold_start_proxy = cold_start_proxy
        self._api: BalancerApi | None = None

    def get_code_sample(self, url: str) -> str | None:
        """Return a program that sends a request, or `None` if the types have no sample.

        Args:
            url: Address of the load balancer with the path.
        """
        return code_sample(self._input_type, self._output_type, url)

    def run(self) -> None:
        """Serve until the work is stopped.

        Raises:
            OSError: The given port is in use.
        """
        with self._bound_port() as bound:
            self.in_use = []
            self.num_requests = 0
            api: BalancerApi = late_import(_BALANCER_API).BalancerApi(
                self._make_rotation,
                lambda: [url.rstrip("/") for url in self.servers],
                lambda number: setattr(self, "num_requests", number),
                self._cold_start_proxy,
            )
            server: HttpServer = late_import(_HTTP_SERVER).HttpServer(
                self._api_name or type(self).__qualname__,
                lifespan=api.lifespan,
                ending=api.end,
                keep_alive=self._timeout_keep_alive,
            )
            api.add_routes(server, self.endpoint, self._input_type, self._output_type)
            self._api = api
            try:
                server.serve(bound)
            finally:
                self._api = None

    def _make_rotation(self) -> Any:
        return late_import(_SERVER_ROTATION).ServerRotation(
            self._server_endpoint,
            max_batch_size=self.max_batch_size,
            timeout_batching=self.timeout_batching,
            timeout=self._timeout_inference_request,
            is_batched=self._is_batched,
            changed=lambda in_use: setattr(self, "in_use", in_use),
        )

    def _state_written(self) -> None:
        api = self._api
        if api is not None:
            api.servers_changed()


def _check_number(name: str, value: Any, least: float, *, is_whole: bool = False) -> None:
    types = (int,) if is_whole else (int, float)
    if type(value) not in types or not least <= value < float("inf"):
        kind = "a whole number" if is_whole else "a number of seconds"
        raise ComponentValueError(
            f"{name}={value!r}: it must be {kind}, {least:g} or more.", argument=name, found=value
        )


def _as_path(name: str, path: Any) -> str:
    if not isinstance(path, str) or not path.strip("/"):
        raise ComponentValueError(
            f"{name}={path!r}: it must be the path of an address, for example 'api/predict'.",
            argument=name,
            found=path,
        )
    return "/" + path.lstrip("/")
