"""OpenTelemetry: a span and a duration for each attempt in a program that uses it, nothing at all in one that does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import kalshi_lab as kl
from tests.door.raw_server import RawServer, free_port, reply
from tests.fakes import FakeClock
from tests.house.measures import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = {"exchange_active": True, "trading_active": True}


class Heard:
    """What an application's own OpenTelemetry received."""

    def __init__(self) -> None:
        self.spans, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))

    @property
    def points(self) -> list[Any]:
        """The points of http.client.request.duration."""
        data = self.reader.get_metrics_data()
        found = [one for each in data.resource_metrics for scope in each.scope_metrics for one in scope.metrics]
        assert {(one.name, one.unit) for one in found} == {("http.client.request.duration", "s")}
        return [point for one in found for point in one.data.data_points]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    made = Heard()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.tracers)
    monkeypatch.setattr(trace, "get_tracer", made.tracers.get_tracer)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: made.meters)
    monkeypatch.setattr(metrics, "get_meter", made.meters.get_meter)
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def client(url: str, **options: Any) -> kl.Kalshi:
    clock = FakeClock(roll=0.0)
    return kl.Kalshi(environment="prod", base_url=url, allow_unsafe_host=True, clock=clock, **options)


def test_each_attempt_is_a_span_below_the_caller_s(heard: Heard) -> None:
    """The conventions of HTTP clients: names, kind, status, error, resend count; the parent is the span around the blocking call."""
    cells = heard.tracers.get_tracer("notebook")
    with (
        RawServer(reply({}, 503), reply(STATUS)) as server,
        client(server.url) as kalshi,
        cells.start_as_current_span("a cell") as cell,
    ):
        kalshi.exchange.status()
        wanted = cell.get_span_context()
    first, second, _ = heard.spans.get_finished_spans()
    for span in (first, second):
        assert (span.name, span.kind) == ("GET get_exchange_status", trace.SpanKind.CLIENT)
        assert span.parent is not None
        assert (span.parent.trace_id, span.parent.span_id) == (wanted.trace_id, wanted.span_id)
        assert span.attributes is not None
        assert span.attributes["http.request.method"] == "GET"
        assert (span.attributes["server.address"], span.attributes["server.port"]) == ("127.0.0.1", server.port)
        assert span.attributes["url.path"] == "/trade-api/v2/exchange/status"
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
    assert first.attributes is not None
    assert second.attributes is not None
    assert (first.attributes["http.response.status_code"], first.attributes["error.type"]) == (503, "Unavailable")
    assert (first.status.status_code, second.status.status_code) == (trace.StatusCode.ERROR, trace.StatusCode.UNSET)
    assert (second.attributes["http.response.status_code"], second.attributes["http.request.resend_count"]) == (200, 1)
    assert "error.type" not in second.attributes
    assert first.attributes["kalshi_lab.request_id"] == second.attributes["kalshi_lab.request_id"]


def test_durations_are_measured_by_status_and_error(heard: Heard) -> None:
    """The histogram of the conventions counts each attempt, and holds nothing that would make a series of every request."""
    with RawServer(reply({}, 503), reply(STATUS)) as server, client(server.url) as kalshi:
        kalshi.exchange.status()
        kalshi.exchange.status()
    points = {point.attributes["http.response.status_code"]: point for point in heard.points}
    assert {status: point.count for status, point in points.items()} == {503: 1, 200: 2}
    assert points[503].attributes["error.type"] == "Unavailable"
    assert set(points[200].attributes) == {
        "http.request.method", "server.address", "server.port", "url.scheme", "http.response.status_code"
    }  # fmt: skip
    assert 0.1 in points[200].explicit_bounds


def test_no_answer_is_told_without_a_status(heard: Heard) -> None:
    """A refused connection is an error of a type, and has no status; the query of a request is told nobody."""
    with client(f"http://127.0.0.1:{free_port()}/trade-api/v2", attempts=1) as kalshi, pytest.raises(kl.Unavailable):
        kalshi.markets.list(tickers="KXCANARY-1").frame()
    (span,) = heard.spans.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "Unavailable"
    assert "http.response.status_code" not in span.attributes
    assert "CANARY" not in span.to_json()


def test_many_at_once_keep_their_own_parents(heard: Heard) -> None:
    """Concurrent calls on one client: each span hangs below the span of its own caller."""

    async def one(kalshi: kl.AsyncKalshi, number: int) -> None:
        with heard.tracers.get_tracer("notebook").start_as_current_span(f"caller {number}"):
            await kalshi.exchange.status()

    async def main(url: str) -> None:
        async with kl.AsyncKalshi(environment="prod", base_url=url, allow_unsafe_host=True) as kalshi:
            await asyncio.gather(*(one(kalshi, number) for number in range(20)))

    with RawServer(reply(STATUS)) as server:
        asyncio.run(main(server.url))
    spans = heard.spans.get_finished_spans()
    callers = {span.context.span_id for span in spans if span.name.startswith("caller")}
    parents = [span.parent.span_id for span in spans if span.name.startswith("GET") and span.parent]
    assert len(parents) == 20
    assert set(parents) == callers


NOTHING = """
import sys
import kalshi_lab as kl
from tests.door.raw_server import RawServer, reply
if sys.argv[1] == "absent":
    sys.modules["opentelemetry"] = None
with RawServer(reply({"exchange_active": True, "trading_active": True})) as server:
    with kl.Kalshi(environment="prod", base_url=server.url, allow_unsafe_host=True) as kalshi:
        kalshi.exchange.status()
print(sorted(name for name in sys.modules if name.startswith("opentelemetry.")))
"""


@pytest.mark.parametrize("case", ["installed", "absent"])
def test_a_program_that_does_not_use_it_loads_nothing(case: str) -> None:
    """No module of OpenTelemetry is loaded by a request, whether it is installed or not."""
    done = subprocess.run([sys.executable, "-c", NOTHING, case], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_broken_exporter_stops_no_request(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What fails in telemetry is logged; the request succeeds."""

    def broken() -> None:
        raise RuntimeError("no provider")

    monkeypatch.setattr(trace, "get_tracer_provider", broken)
    with RawServer(reply(STATUS)) as server, client(server.url) as kalshi:
        assert kalshi.exchange.status().exchange_active
    assert "a listener of request events failed" in caplog.text
