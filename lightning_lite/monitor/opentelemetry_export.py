"""Sends the calls of a run to OpenTelemetry, as spans of one trace; needs the extra `otel`.

    run                     ─▶ the first span of the trace, sent when the run has ended
    call of a work          ─▶ a span from the request to the end, below the span of the run
    attempt, if several     ─▶ a span below the span of the call
    failure of an attempt   ─▶ an event `exception` and the status `error`

The spans are made from the journal, so the app does nothing for them. The ids are made from the id of the run
and the number of the call: a second export gives the same trace. Where to send them, headers and certificates
are set by the environment variables of OpenTelemetry, such as `OTEL_EXPORTER_OTLP_ENDPOINT`.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lightning_lite.distribution import NAME, __version__
from lightning_lite.engine.history import Attempt, CallHistory, RunHistory
from lightning_lite.errors import LightningLiteError
from lightning_lite.harmless_text import harmless
from lightning_lite.monitor.ended_calls import EndedCalls
from lightning_lite.monitor.traceback_frames import type_of_error
from lightning_lite.quantity_text import count
from lightning_lite.runs.catalog import RunSummary

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, Status

#: Calls whose spans are sent in one request.
_BATCH = 200

#: Maximum number of characters of an attribute, and of a traceback.
_MAX_TEXT = 4096
_MAX_TRACEBACK = 64 * 1024

_PATH = "/v1/traces"

_FAILED = frozenset({"failed", "lost"})


class TraceExportError(LightningLiteError):
    """Spans can't be made or sent; the text says why and what to do."""


class TraceExport:
    """Sends the calls of one run, each once.

    Args:
        run: The run.
        endpoint: Base address of the receiver, such as `http://localhost:4318`; `/v1/traces` is appended. By
            default that of the environment variables of OpenTelemetry.
        with_arguments: Whether the arguments of calls are attributes: they may be confidential.

    Attributes:
        trace_id: Id of the trace, 32 hexadecimal digits.
        endpoint: The address to which spans are sent.
        num_calls: Number of the calls that were sent.

    Raises:
        TraceExportError: The extra is not installed, or the address is invalid.
    """

    def __init__(self, run: RunSummary, *, endpoint: str | None = None, with_arguments: bool = False) -> None:
        self._run = run
        self._with_arguments = with_arguments
        self._ended = EndedCalls()
        self._waiting: deque[CallHistory] = deque()
        self._resource: Resource | None = None
        self._scope: InstrumentationScope | None = None
        self._log = _LastMessage()
        self.endpoint = _traces_endpoint(endpoint)
        self._exporter = _make_exporter(self.endpoint)
        self.trace_id = _digest(run.id, size=16)
        self.num_calls = 0

    def send(self, history: RunHistory) -> None:
        """Send the calls that have ended and were not sent.

        Args:
            history: The history of the run, which may have grown or be a new one.

        Raises:
            TraceExportError: The receiver does not answer or refuses them. The next `send` tries again.
        """
        self._waiting += self._ended.take(history)
        while self._waiting:
            calls = [self._waiting[position] for position in range(min(_BATCH, len(self._waiting)))]
            self._export([span for call in calls for span in self._spans(call, None)])
            for _ in calls:
                self._waiting.popleft()
            self.num_calls += len(calls)

    def finish(self, run: RunSummary, history: RunHistory) -> None:
        """Send the rest of a run that has ended: calls without an end, as lost, and the span of the run.

        Args:
            run: The run after its end.
            history: Its whole history.

        Raises:
            TraceExportError: As for `send`.
        """
        self.send(history)
        lost = self._ended.unended
        for start in range(0, len(lost), _BATCH):
            calls = lost[start : start + _BATCH]
            self._export([span for call in calls for span in self._spans(call, history.last_time)])
            self.num_calls += len(calls)
        self._export([self._span_of_run(run, history)])

    def close(self) -> None:
        """Close the connection to the receiver."""
        self._exporter.shutdown()

    def _export(self, spans: Sequence[ReadableSpan]) -> None:
        with self._log:
            result = self._exporter.export(spans)
        if result.name != "SUCCESS":
            reason = self._log.text or "the receiver gave no reason"
            raise TraceExportError(
                f"{count(len(spans), 'span')} can't be sent to {self.endpoint!r}: {harmless(reason)}. Start "
                "a receiver of OTLP over HTTP there, or name another one with --endpoint or "
                "OTEL_EXPORTER_OTLP_ENDPOINT."
            )

    # Spans.

    def _spans(self, call: CallHistory, lost_at: float | None) -> list[ReadableSpan]:
        """Return the spans of a call; one without an end was lost at a time."""
        attempts = [_ended_attempt(call, attempt, lost_at) for attempt in call.attempts]
        ends = [ended for _, ended in attempts]
        last = call.lost_at if call.lost_at is not None else call.statuses[-1].timestamp
        ended = max([call.asked, *ends, last])
        outcome = "lost" if lost_at is not None and call.stage in ("pending", "running") else call.stage
        key = f"{call.work}\n{call.number}"
        attributes: dict[str, Any] = {
            "lightning_lite.run.id": self._run.id,
            "lightning_lite.work": call.work,
            "lightning_lite.call.number": call.number,
            "lightning_lite.call.key": call.key,
            "lightning_lite.call.outcome": outcome,
            "lightning_lite.call.attempts": len(attempts),
        }
        if attempts:
            waited = attempts[0][0].began - call.asked
            attributes["lightning_lite.call.wait"] = round(max(0.0, waited), 6)
        if self._with_arguments:
            attributes["lightning_lite.call.arguments"] = call.arguments
        failed = [one for one in attempts if one[0].outcome in _FAILED]
        events = [_exception(call, attempt, moment) for attempt, moment in failed]
        status = _make_status(outcome, call.message)
        spans = [self._span(f"{call.work}.run", key, "", call.asked, ended, attributes, events, status)]
        if len(attempts) > 1:
            spans += (self._attempt(call, key, attempt, moment) for attempt, moment in attempts)
        return spans

    def _attempt(self, call: CallHistory, key: str, attempt: Attempt, ended: float) -> ReadableSpan:
        attributes: dict[str, Any] = {
            "lightning_lite.run.id": self._run.id,
            "lightning_lite.work": call.work,
            "lightning_lite.call.number": call.number,
            "lightning_lite.attempt.number": attempt.number,
            "lightning_lite.attempt.outcome": attempt.outcome,
        }
        if attempt.reason is not None:
            attributes["lightning_lite.attempt.reason"] = attempt.reason
        events = [_exception(call, attempt, ended)] if attempt.outcome in _FAILED else []
        # A restart by the flow repeats an attempt, so its number alone does not identify it.
        name = f"{key}\n{attempt.number}\n{attempt.began!r}"
        status = _make_status(attempt.outcome, attempt.message)
        return self._span(
            f"attempt {attempt.number}", name, key, attempt.began, ended, attributes, events, status
        )

    def _span_of_run(self, run: RunSummary, history: RunHistory) -> ReadableSpan:
        began = min(history.begun[:1] + history.times[:1], default=run.started or 0.0)
        ended = max(run.ended or 0.0, history.last_time, began)
        attributes: dict[str, Any] = {
            "lightning_lite.run.id": run.id,
            "lightning_lite.run.state": run.state,
            "lightning_lite.run.resumes": max(0, len(history.begun) - 1),
        }
        if run.name:
            attributes["lightning_lite.run.name"] = run.name
        if run.tags:
            attributes["lightning_lite.run.tags"] = run.tags
        has_failed = run.state in ("failed", "died", "killed")
        status = _make_status("failed" if has_failed else "", run.error or f"the run has {run.state}")
        return self._span(run.app, "", None, began, ended, attributes, [], status)

    def _span(
        self,
        name: str,
        key: str,
        parent: str | None,
        began: float,
        ended: float,
        attributes: dict[str, Any],
        events: list[Event],
        status: Status,
    ) -> ReadableSpan:
        """Return a span; the key of the run is "", and its parent `None`."""
        # A tracer would give the spans ids and times of its own.
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - see `_make_exporter`

        if self._scope is None:
            self._scope = _make_scope()
            self._resource = _resource_of(self._run)
        return ReadableSpan(
            _clean(name),
            self._context(key),
            None if parent is None else self._context(parent),
            self._resource,
            {name: _clean(value) for name, value in attributes.items()},
            events,
            status=status,
            start_time=_nanoseconds(began),
            end_time=_nanoseconds(max(began, ended)),
            instrumentation_scope=self._scope,
        )

    def _context(self, key: str) -> SpanContext:
        from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415 - see `_make_exporter`

        span_id = int(_digest(f"{self._run.id}\n{key}", size=8), 16)
        return SpanContext(int(self.trace_id, 16), span_id, is_remote=False, trace_flags=TraceFlags(1))


def _make_exporter(endpoint: str) -> Any:
    """Return an exporter; its other options come from the environment."""
    try:
        # 0.2 s, and only for this export; the packages come with the extra.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
    except ImportError:
        raise TraceExportError(
            f'OpenTelemetry is not installed: pip install "{NAME}[otel]", and try again.'
        ) from None
    return OTLPSpanExporter(endpoint=endpoint)


def _traces_endpoint(given: str | None) -> str:
    """Return the address for traces: of a base address, of the environment, or the default of OTLP."""
    whole = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = given or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    endpoint = whole if whole and not given else base
    try:
        parts = urlsplit(endpoint)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise TraceExportError(
            f"invalid endpoint {endpoint!r}; write the address of a receiver of OTLP over HTTP, such as "
            "http://localhost:4318"
        )
    if endpoint is whole or endpoint.rstrip("/").endswith(_PATH):
        return endpoint
    return endpoint.rstrip("/") + _PATH


def _make_scope() -> InstrumentationScope:
    from opentelemetry.sdk.util.instrumentation import (  # noqa: PLC0415 - see `_make_exporter`
        InstrumentationScope,
    )

    return InstrumentationScope("lightning_lite", __version__)


def _resource_of(run: RunSummary) -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see `_make_exporter`

    attributes: dict[str, Any] = {"lightning_lite.version": str(run.details.get("lightning_lite", ""))}
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    if not named:
        attributes["service.name"] = _clean(run.app)
    host = run.details.get("host")
    if isinstance(host, str):
        attributes["host.name"] = _clean(host)
    return Resource.create(attributes)


def _ended_attempt(call: CallHistory, attempt: Attempt, lost_at: float | None) -> tuple[Attempt, float]:
    """Return an attempt and when it ended; one without an end was lost."""
    if attempt.ended is not None:
        return attempt, max(attempt.ended, attempt.began)
    times = [time for time in (call.lost_at, lost_at, call.statuses[-1].timestamp) if time is not None]
    outcome = "lost" if attempt.outcome == "running" else attempt.outcome
    return attempt._replace(outcome=outcome), max(times[0], attempt.began)


def _exception(call: CallHistory, attempt: Attempt, moment: float) -> Event:
    """Return the event for a failed attempt, with the names of OpenTelemetry's conventions."""
    from opentelemetry.attributes import BoundedAttributes  # noqa: PLC0415 - see `_make_exporter`
    from opentelemetry.sdk.trace import Event  # noqa: PLC0415 - as above

    traceback = ""
    for status in call.statuses:
        if status.stage == "failed" and status.count == attempt.number:
            traceback = status.traceback
    failure = call.record.failure
    if not traceback and failure is not None and attempt.number == call.record.attempt:
        traceback = failure.traceback
    attributes = {
        "exception.type": type_of_error(traceback) or attempt.reason or attempt.outcome,
        "exception.message": attempt.message or attempt.outcome,
    }
    if traceback:
        attributes["exception.stacktrace"] = traceback[-_MAX_TRACEBACK:]
    clean = {name: _clean(value, _MAX_TRACEBACK) for name, value in attributes.items()}
    return Event("exception", BoundedAttributes(attributes=clean), _nanoseconds(moment))


def _make_status(outcome: str, message: str) -> Status:
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - see `_make_exporter`

    if outcome in _FAILED:
        return Status(StatusCode.ERROR, _clean(message or outcome))
    return Status(StatusCode.UNSET)


def _clean(value: Any, limit: int = _MAX_TEXT) -> Any:
    """Return an attribute that can be encoded: a text with another character makes a whole request fail."""
    if isinstance(value, list):
        return [_clean(item, limit) for item in value]
    return value[:limit].encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def _digest(text: str, *, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _nanoseconds(seconds: float) -> int:
    return max(0, int(seconds * 1e9))


class _LastMessage(logging.Handler):
    """Keeps the last message that the exporter logs, in place of its output."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._logger = logging.getLogger("opentelemetry.exporter")

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.text = record.getMessage().rstrip(".")

    def __enter__(self) -> None:
        self.text = ""
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated
