"""Traces in OpenTelemetry, taken by a receiver of OTLP over HTTP on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import RunBegun
from lightning_lite.monitor.opentelemetry_export import TraceExport, TraceExportError
from lightning_lite.runs.catalog import RunSummary, read_runs

from tests.cli.verbs import call
from tests.monitor.histories import Story
from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies

TRACEBACK = """\
Traceback (most recent call last):
  File "/a.py", line 1, in run
    1 / 0
ZeroDivisionError: no
"""


class Receiver:
    """A receiver of OTLP over HTTP.

    Attributes:
        endpoint: Its base address.
        spans: The spans that it has got.
        resources: The attributes of their resources.
        refusals: Status codes with which it answers the next requests.
        paths: The paths of all requests.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.refusals: list[int] = []
        self.paths: list[str] = []
        self._changed = Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.take(self.path, data))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def take(self, path: str, data: bytes) -> int:
        with self._changed:
            self.paths.append(path)
            if self.refusals:
                return self.refusals.pop(0)
            for group in ExportTraceServiceRequest.FromString(data).resource_spans:
                found = {one.key: one.value.string_value for one in group.resource.attributes}
                self.resources.append(found)
                for scope in group.scope_spans:
                    assert scope.scope.name == "lightning_lite"
                    self.spans += scope.spans
            self._changed.notify_all()
            return 200

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= count, DEADLINE)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch):
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def attributes(span) -> dict[str, object]:
    found = {}
    for one in span.attributes:
        kind = one.value.WhichOneof("value")
        found[one.key.removeprefix("lightning_lite.")] = getattr(one.value, kind)
    return found


def summary(state: str = "stopped", **details) -> RunSummary:
    return RunSummary("r1", "/root/runs/r1", {"app": "train.py", "host": "here", **details}, state, None)


def export(receiver: Receiver, story: Story, **options) -> TraceExport:
    made = TraceExport(summary(), endpoint=receiver.endpoint, **options)
    try:
        made.finish(summary(), story.history)
    finally:
        made.close()
    return made


def test_a_run_is_a_trace_of_its_calls(receiver):
    story = Story("a")
    story.call("a", 1.0, 2.0, 3.5, "secret")

    made = export(receiver, story)

    call, run = receiver.spans
    assert receiver.paths == ["/v1/traces", "/v1/traces"]
    assert (run.name, run.parent_span_id, run.start_time_unix_nano, run.end_time_unix_nano) == (
        "train.py",
        b"",
        0,
        3_500_000_000,
    )
    assert (call.name, call.parent_span_id) == ("root.a.run", run.span_id)
    assert (call.start_time_unix_nano, call.end_time_unix_nano) == (1_000_000_000, 3_500_000_000)
    assert attributes(call) == {
        "run.id": "r1",
        "work": "root.a",
        "call.number": 1,
        "call.key": "a-1",
        "call.outcome": "succeeded",
        "call.attempts": 1,
        "call.wait": 1.0,
    }
    assert call.status.code == run.status.code == 0
    assert call.trace_id.hex() == run.trace_id.hex() == made.trace_id
    assert made.num_calls == 1
    assert receiver.resources[0]["service.name"] == "train.py"
    assert receiver.resources[0]["host.name"] == "here"


def test_arguments_are_sent_only_if_wanted(receiver):
    story = Story("a")
    story.call("a", 1.0, 2.0, 3.0, "secret")

    export(receiver, story, with_arguments=True)

    assert attributes(receiver.spans[0])["call.arguments"] == "'secret'"


def test_attempts_are_spans_below_the_call_and_failures_are_exceptions(receiver):
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 2.0, "running")
    story.change(
        "a", number, 3.0, "failed", reason="user_exception", message="call 1 has failed", traceback=TRACEBACK
    )
    story.change("a", number, 4.0, "running", 2)
    story.fail("a", number, 5.0, 2, reason="crashed", message="killed by signal 9")

    export(receiver, story)

    (call,) = receiver.named("root.a.run")
    first, second = receiver.named("attempt 1") + receiver.named("attempt 2")
    assert first.parent_span_id == second.parent_span_id == call.span_id
    assert attributes(first)["attempt.outcome"] == "failed"
    assert attributes(second)["attempt.reason"] == "crashed"
    assert (call.status.code, call.status.message) == (2, "killed by signal 9")
    assert [event.name for event in call.events] == ["exception", "exception"]
    assert attributes(first.events[0]) == {
        "exception.type": "ZeroDivisionError",
        "exception.message": "call 1 has failed",
        "exception.stacktrace": TRACEBACK,
    }
    assert first.events[0].time_unix_nano == 3_000_000_000
    assert attributes(second.events[0]) == {
        "exception.type": "crashed",
        "exception.message": "killed by signal 9",
    }


def test_calls_without_an_end_are_lost_when_the_run_has_ended(receiver):
    story = Story("a", "b")
    story.change("a", story.ask("a", 1.0), 2.0, "running")
    story.call("b", 2.0, 2.0, 9.0)

    made = TraceExport(summary(), endpoint=receiver.endpoint)
    made.send(story.history)
    assert [span.name for span in receiver.spans] == ["root.b.run"]
    made.finish(summary("died"), story.history)
    made.close()

    (call,) = receiver.named("root.a.run")
    assert attributes(call)["call.outcome"] == "lost"
    assert (call.end_time_unix_nano, call.status.code) == (9_000_000_000, 2)
    assert receiver.spans[-1].status.message == "the run has died"


def test_each_call_is_sent_once_although_the_journal_is_compacted_between(receiver):
    story = Story("a")
    for second in range(450):
        story.call("a", second, second, second + 0.5)
    made = TraceExport(summary(), endpoint=receiver.endpoint)
    made.send(story.history)
    made.send(story.history)
    compacted = RunHistory()
    compacted.apply(RunBegun(0.0))
    for event in story.history.snapshot(10):
        compacted.apply(event)
    story.history = compacted
    story.call("a", 500.0, 500.0, 500.5)
    made.finish(summary(), compacted)
    made.close()

    numbers = [attributes(span)["call.number"] for span in receiver.named("root.a.run")]
    assert numbers == list(range(1, 452))


def test_what_the_receiver_refused_is_sent_by_the_next_export(receiver):
    story = Story("a")
    story.call("a", 1.0, 2.0, 3.0)
    made = TraceExport(summary(), endpoint=receiver.endpoint)
    receiver.refusals = [400]

    with pytest.raises(TraceExportError, match=r"1 span can't be sent to .*/v1/traces'"):
        made.send(story.history)
    assert made.num_calls == 0
    made.send(story.history)
    made.send(story.history)
    made.close()

    assert [span.name for span in receiver.spans] == ["root.a.run"]


def test_odd_texts_do_not_make_a_request_fail(receiver):
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 2.0, "running")
    story.fail("a", number, 3.0, message="\udc80" + "x" * 100_000)
    made = TraceExport(summary(app="\udcff"), endpoint=receiver.endpoint)
    made.finish(summary(app="\udcff"), story.history)
    made.close()

    assert receiver.spans[0].status.message.startswith("?xxx")
    assert len(receiver.spans[0].status.message) == 4096
    assert receiver.spans[1].name == "?"


def test_a_second_export_gives_the_same_ids(receiver):
    story = Story("a")
    story.call("a", 1.0, 2.0, 3.0)

    export(receiver, story)
    export(receiver, story)

    ids = [(span.trace_id, span.span_id) for span in receiver.spans]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2


def test_the_environment_of_opentelemetry_has_its_effect(receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{receiver.endpoint}/base/")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    made = TraceExport(summary())
    made.finish(summary(), Story().history)
    made.close()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.endpoint}/own")
    made = TraceExport(summary())
    made.finish(summary(), Story().history)
    made.close()

    assert receiver.paths == ["/base/v1/traces", "/own"]
    assert receiver.resources[0]["service.name"] == "mine"


@pytest.mark.parametrize(
    "endpoint", ["localhost:4318", "ftp://localhost", "http://", "http://h:99999", "http://[::1"]
)
def test_an_address_that_is_none_is_refused(endpoint):
    with pytest.raises(TraceExportError, match="write the address of a receiver of OTLP over HTTP"):
        TraceExport(summary(), endpoint=endpoint)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(TraceExportError, match=r'pip install "lightning-lite-apps\[otel\]"'):
        TraceExport(summary())


SCRIPT = """
import os
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Double(LightningWork):
    def run(self, number):
        if number == 2:
            open(os.environ["READY"], "w").close()
            with open(os.environ["GO"]) as file:  # a FIFO: waits for its writer
                file.read()
        return 2 * number

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.double = Double()

    def run(self):
        for number in range(4):
            self.double.run(number)
        self.stop()

LightningApp(Root()).run()
"""


@contextmanager
def started(*command: str, **options) -> Iterator[subprocess.Popen[str]]:
    """Start a process, and end it with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


@pytest.fixture
def stack_of_processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_calls_of_a_running_app_are_sent_while_it_runs(
    receiver, tmp_path, stack_of_processes, monkeypatch, capfd
):
    (tmp_path / "app.py").write_text(SCRIPT, "utf-8")
    os.mkfifo(tmp_path / "go")
    root = str(tmp_path / "root")
    env = {
        **os.environ,
        "LIGHTNING_LITE_ROOT": root,
        "READY": str(tmp_path / "ready"),
        "GO": str(tmp_path / "go"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
    }
    sending = (sys.executable, "-m", "lightning_lite", "otel", "-f")
    with started(sys.executable, "app.py", cwd=tmp_path, env=env) as app:
        with open(tmp_path / "go", "w"):  # opens when the work reads it, which then waits
            sender = stack_of_processes.enter_context(started(*sending, cwd=tmp_path, env=env))
            receiver.wait_for(2)
            assert [attributes(span)["call.number"] for span in receiver.spans] == [1, 2]
        output, errors = sender.communicate(timeout=DEADLINE)
        app.communicate(timeout=DEADLINE)

    (run,) = read_runs(root)
    assert (sender.returncode, errors) == (0, "")
    trace = receiver.spans[0].trace_id.hex()
    assert output == f"run {run.id}: 4 calls sent to {receiver.endpoint}/v1/traces, trace {trace}\n"
    assert [span.name for span in receiver.spans] == ["root.double.run"] * 4 + ["Root"]
    assert [attributes(span)["call.number"] for span in receiver.spans[:-1]] == [1, 2, 3, 4]

    receiver.refusals = [403]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    refused = call(capfd, "otel", "--root", root)
    assert refused.code == 1
    assert "4 spans can't be sent to" in refused.err
