"""`AutoScaler`: a flow that starts and ends servers as the number of requests changes."""

from __future__ import annotations

import logging
import time
from typing import Any

from lightning_lite.components.cold_start_proxy import ColdStartProxy
from lightning_lite.components.load_balancer import LoadBalancer
from lightning_lite.components.python_server import PythonServer
from lightning_lite.errors import ComponentError, ComponentValueError
from lightning_lite.tree.cloud import CloudCompute
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.outbox import outbox_of
from lightning_lite.tree.structures import List
from lightning_lite.tree.work import LightningWork

_log = logging.getLogger("lightning_lite")

#: Maximum of seconds before a server that has ended is replaced.
_MAX_PAUSE = 30.0

#: Path at which a `PythonServer` answers.
_PYTHON_SERVER_PATH = "/predict"


class AutoScaler(LightningFlow):
    """Copies of one server behind a `LoadBalancer`; their number follows the number of requests.

    `scale` is called when a number that it gets has changed, and says how many servers there should be. A
    server that is not needed any more ends after its last answer. One that has failed, was stopped or has
    returned gets no requests, and is replaced: at once, or after up to 30 seconds if servers end again and
    again. While nothing happens, the flow does nothing.

    A `PythonServer` whose `input_type` has a field `inputs` gets batches, and returns a model with `outputs`.
    Any other one gets each request as it is. A work of another class gets batches at the path `endpoint`.

    Args:
        work_cls: Class of the servers: a work that serves, such as a `PythonServer`.
        min_replicas: Number of servers at the start, and at least.
        max_replicas: Number of servers at most.
        scale_out_interval: Seconds after the last change of their number before servers are added.
        scale_in_interval: Seconds after the last change of their number before servers are removed.
        max_batch_size: How many requests a server gets at the same time.
        timeout_batching: Seconds after the last batch for which an incomplete batch waits.
        endpoint: Path of the requests.
        input_type: Type of requests, for example a model of pydantic.
        output_type: Type of answers.
        cold_start_proxy: Answers while no server is ready or all are busy: its address, or a
            `ColdStartProxy`.
        *work_args: Arguments of each server.
        timeout_inference_request: Seconds for a request, with the time in which it waits.
        **work_kwargs: Arguments of each server. `host` and `port` belong to the load balancer: servers
            have free ports of this machine.

    Attributes:
        load_balancer: The work that clients ask, at `load_balancer.url` with the path `endpoint`.
        servers: The works that answer, also those that are ending.
        num_replicas: How many servers there should be.

    Raises:
        ComponentError: An argument is invalid; the message names it. It is a `ValueError`.
        ModuleNotFoundError: A package is not installed; the message names the extra that brings it.

    Example:
        >>> class Shout(PythonServer):
        ...     def predict(self, request):
        ...         return {"prediction": request.payload.upper()}
        >>> scaler = AutoScaler(Shout, min_replicas=2, max_replicas=4)
        >>> scaler.num_replicas
        2
        >>> scaler.scale(2, {"pending_requests": 20, "pending_works": 0})
        3
    """

    def __init__(
        self,
        work_cls: type[LightningWork],
        min_replicas: int = 1,
        max_replicas: int = 4,
        scale_out_interval: float = 10,
        scale_in_interval: float = 10,
        max_batch_size: int = 8,
        timeout_batching: float = 1,
        endpoint: str = "api/predict",
        input_type: Any = dict,
        output_type: Any = dict,
        cold_start_proxy: ColdStartProxy | str | None = None,
        *work_args: Any,
        timeout_inference_request: float = 60,
        **work_kwargs: Any,
    ) -> None:
        super().__init__()
        _check_arguments(work_cls, min_replicas, max_replicas, scale_out_interval, scale_in_interval)
        address = {name: work_kwargs.pop(name) for name in ("host", "port") if name in work_kwargs}
        cloud_compute = work_kwargs.get("cloud_compute")
        if cloud_compute is not None:
            if not isinstance(cloud_compute, CloudCompute):
                raise ComponentValueError(
                    f"`cloud_compute={cloud_compute!r}` must be a CloudCompute, or None.",
                    argument="cloud_compute",
                    found=cloud_compute,
                )
            work_kwargs["cloud_compute"] = cloud_compute.clone()
        self.min_replicas = min_replicas
        self.max_replicas = max_replicas
        self.scale_out_interval = scale_out_interval
        self.scale_in_interval = scale_in_interval
        self.max_batch_size = max_batch_size
        self.num_replicas = 0
        self._work_cls = work_cls
        self._work_args = work_args
        self._work_kwargs = work_kwargs
        self._last_autoscale = time.time()  # or, in an app, the time of the first pass
        self._has_begun = False
        self._leaving: list[LightningWork] = []  # they end after their last answer
        self._were_ready: set[str] = set()  # names of the works that have served
        self._ended_at: list[float] = []  # when servers have ended by themselves, in the last restart period
        self.servers: List[LightningWork] = List()
        is_python_server = issubclass(work_cls, PythonServer)
        for _ in range(min_replicas):
            self.add_work(self.create_work())
        self.load_balancer = LoadBalancer(
            input_type,
            output_type,
            endpoint,
            max_batch_size=max_batch_size,
            timeout_batching=timeout_batching,
            timeout_inference_request=timeout_inference_request,
            api_name=work_cls.__name__,
            cold_start_proxy=cold_start_proxy,
            server_endpoint=_PYTHON_SERVER_PATH if is_python_server else None,
            is_batched=not is_python_server or self._takes_batches(),
            **address,
        )

    # Attributes and methods that the user reads and overrides.

    @property
    def workers(self) -> list[LightningWork]:
        """The servers that get requests, or will when they are ready."""
        return [work for work in self.servers if work not in self._leaving]

    @property
    def ready(self) -> bool:
        """Whether requests are answered: the load balancer serves, and a server or a proxy can answer."""
        balancer = self.load_balancer
        can_answer = self.min_replicas == 0 or balancer._cold_start_proxy is not None
        return balancer.ready and (can_answer or any(work.url for work in self.workers))

    @property
    def num_pending_requests(self) -> int:
        """Number of requests that have no answer yet, as of the last quarter of a second."""
        return self.load_balancer.num_requests

    @property
    def num_pending_works(self) -> int:
        """Number of servers that are not ready yet."""
        return sum(not work.url for work in self.workers)

    def scale(self, replicas: int, metrics: dict[str, int]) -> int:
        """Return how many servers there should be; override it for another rule.

        By default one more if there are `max_batch_size` pending requests or more for each server, and one
        less if there are fewer than a quarter of that.

        Args:
            replicas: How many servers there are, also those that are not ready yet.
            metrics: `pending_requests`, the number of requests without an answer, and `pending_works`, the
                number of servers that are not ready.

        Returns:
            The number; less than `min_replicas` means `min_replicas`, more than `max_replicas` means that.
        """
        pending, works = metrics["pending_requests"], replicas + metrics["pending_works"]
        if works == 0:
            return 1 if pending else 0
        if pending / works >= self.max_batch_size:
            return replicas + 1
        if pending / works < self.max_batch_size * 0.25:
            return replicas - 1
        return replicas

    def configure_layout(self) -> Any:
        """Return a tab with the description of the load balancer."""
        url = self.load_balancer.url
        return [{"name": "API", "content": f"{url}/docs" if url else ""}]

    # The works.

    def create_work(self) -> LightningWork:
        """Return a new server; override it to create one in another way."""
        arguments = {**self._work_kwargs}
        if arguments.get("cloud_compute") is not None:
            arguments["cloud_compute"] = arguments["cloud_compute"].clone()
        return self._work_cls(*self._work_args, **arguments)

    def add_work(self, work: LightningWork) -> str:
        """Add a server, and return its name.

        Args:
            work: The server.

        Raises:
            ComponentError: It is not a work.
        """
        self._append(work)
        self.num_replicas += 1
        return work.name

    def remove_work(self, index: int) -> str:
        """Take a server out of the rotation, and return its name; it ends after its last answer.

        Args:
            index: Its place in `workers`.
        """
        work = self.get_work(index)
        self._leaving.append(work)
        self.num_replicas -= 1
        return work.name

    def get_work(self, index: int) -> LightningWork:
        """Return a server.

        Args:
            index: Its place in `workers`.
        """
        return self.workers[index]

    # The passes.

    def run(self) -> None:
        """Keep the load balancer and the servers running; call it in each pass.

        Outside an app nothing is started: only the number of servers is changed.
        """
        if outbox_of(self) is None:
            if self.load_balancer.url:
                self.autoscale()
            return
        if not self._has_begun:
            self._has_begun, self._last_autoscale = True, self._now()
        self._replace_ended()
        if self.load_balancer.url:
            self.autoscale()
        for work in self.servers:
            work.run()
            if work.url:
                self._were_ready.add(work.name)
        urls = [work.url for work in self.workers if work.url]
        if urls != self.load_balancer.servers:
            self.load_balancer.servers = urls
        self.load_balancer.run()
        self._end_leaving()

    def autoscale(self) -> None:
        """Ask `scale`, and add or remove servers if the interval for that has passed."""
        metrics = {"pending_requests": self.num_pending_requests, "pending_works": self.num_pending_works}
        wanted = self.scale(self.num_replicas, metrics)
        if not isinstance(wanted, int):
            raise ComponentError(f"{self.name}.scale must return a number of servers; it is {wanted!r}.")
        change = max(self.min_replicas, min(self.max_replicas, wanted)) - self.num_replicas
        if change == 0:
            return
        due = self._last_autoscale + (self.scale_out_interval if change > 0 else self.scale_in_interval)
        if self._now() < due:
            self._run_again_at(due, "scale")
            return
        before = self.num_replicas
        for _ in range(abs(change)):
            if change > 0:
                self.add_work(self.create_work())
            elif self.num_replicas > len(self.workers):
                self.num_replicas -= 1  # the server that waits for its replacement gets none
            else:
                self.remove_work(len(self.workers) - 1)
        self._last_autoscale = self._now()
        _log.info("%s: %d servers in place of %d, %s", self.name, before + change, before, metrics)

    def _append(self, work: LightningWork) -> None:
        """Add a work to the servers.

        Raises:
            ComponentError: It is not a work.
        """
        if not isinstance(work, LightningWork):
            raise ComponentError(
                f"{type(self).__qualname__}.create_work must return a LightningWork; it is {work!r}."
            )
        # A server that fails is replaced, so it must not end the app; and the flow never waits for one.
        work._policy = work._policy._replace(raise_exception=False, parallel=True, start_with_flow=False)
        self.servers.append(work)

    def _replace_ended(self) -> None:
        """Remove the servers that serve no more, and add others in their place when it is time.

        Raises:
            FailApp: A server has ended by itself before it has served, and there is no other one.
        """
        now = self._now()
        for work in [work for work in self.servers if _end_of(work)]:
            end = _end_of(work)
            is_first = work.name not in self._were_ready and not any(each.url for each in self.workers)
            if is_first and not work.has_stopped:
                self.fail(f"{work.name} {end} before it was ready: {work.status.message or 'it must serve'}")
            if work in self._leaving:
                self._leaving.remove(work)
            else:
                period = work._policy.restart_period
                self._ended_at = [at for at in self._ended_at if at > now - period] + [now]
                _log.warning("%s %s, and is replaced", work.name, end)  # the app shows the reason
            self._were_ready.discard(work.name)
            self.servers.remove(work)
        missing = self.num_replicas - len(self.workers)
        if missing <= 0:
            return
        num_ended = len(self._ended_at)
        pause = 0.0 if num_ended < 2 else min(2.0 ** (num_ended - 2), _MAX_PAUSE)
        due = self._ended_at[-1] + pause if self._ended_at else now
        if now < due:
            self._run_again_at(due, "replace")
            return
        for _ in range(missing):
            self._append(self.create_work())

    def _end_leaving(self) -> None:
        """Remove the servers that have given their last answer; that ends their processes."""
        for work in [work for work in self._leaving if work.url not in self.load_balancer.in_use]:
            self._leaving.remove(work)
            self._were_ready.discard(work.name)
            self.servers.remove(work)

    def _takes_batches(self) -> bool:
        """Return whether the requests of a `PythonServer` are batches."""
        server: Any = self.workers[0] if self.workers else self.create_work()
        return "inputs" in server.configure_input_type().model_fields

    def _now(self) -> float:
        outbox = outbox_of(self)
        return time.time() if outbox is None else outbox.wall

    def _run_again_at(self, due: float, what: str) -> None:
        """Let the app begin a pass at a time, in seconds since 1970."""
        outbox = outbox_of(self)
        if outbox is not None:
            outbox.wakes[f"{self.name}: {what}"] = due


def _end_of(work: LightningWork) -> str:
    """Return in words how a server has ended; "" if it serves, or will."""
    if work.has_failed:
        return "has failed"
    if work.has_stopped:
        return "was stopped"
    return "has returned" if work.has_succeeded else ""


def _check_arguments(
    work_cls: Any, min_replicas: Any, max_replicas: Any, scale_out_interval: Any, scale_in_interval: Any
) -> None:
    """Refuse invalid arguments of an `AutoScaler`.

    Raises:
        ComponentValueError: One is invalid.
    """
    if not (isinstance(work_cls, type) and issubclass(work_cls, LightningWork)):
        raise ComponentValueError(
            f"AutoScaler({work_cls!r}): it must be a class derived from LightningWork.",
            argument="work_cls",
            found=work_cls,
        )
    for name, number in (("min_replicas", min_replicas), ("max_replicas", max_replicas)):
        if type(number) is not int or number < 0:
            raise ComponentValueError(
                f"`{name}={number!r}` must be a whole number, 0 or more.", argument=name, found=number
            )
    if max_replicas < max(min_replicas, 1):
        raise ComponentValueError(
            f"`max_replicas={max_replicas}` must be at least 1, and at least `min_replicas={min_replicas}`.",
            argument="max_replicas",
            found=max_replicas,
        )
    for name, seconds in (
        ("scale_out_interval", scale_out_interval),
        ("scale_in_interval", scale_in_interval),
    ):
        if type(seconds) not in (int, float) or not 0 <= seconds < float("inf"):
            raise ComponentValueError(
                f"`{name}={seconds!r}` must be a number of seconds, 0 or more.", argument=name, found=seconds
            )
