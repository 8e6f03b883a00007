"""The figures of the live page."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from serving.state.live import LiveTopics
from serving.state.workers import fetch, summarize
from streams.observing.observer import MetricsObserver
from streams.observing.telemetry import Telemetry


def worker(tests: int, hits: int, *, learner: bool, lag: int) -> bytes:
    """Return what a worker's endpoint answers."""
    telemetry = Telemetry()
    accuracy = MetricsObserver(telemetry, "events", frozenset).accuracy
    for number in range(tests):
        accuracy.test("a", ["a"] if number < hits else [], {})
    telemetry.process.ready.set(1)
    telemetry.model.is_learner.set(learner)
    telemetry.model.loss.set(4.5 if learner else float("nan"))
    telemetry.model.learner_lag.set(7)
    telemetry.group.lag.labels("0").set(lag)
    return generate_latest(telemetry.registry)


@pytest.fixture
def endpoints() -> Iterator[list[str]]:
    """Two workers, and one that answers nonsense."""
    pages = [worker(100, 50, learner=True, lag=3), worker(300, 30, learner=False, lag=4), b"<html>"]
    servers = []
    for page in pages:

        class Handler(http.server.BaseHTTPRequestHandler):
            body = page

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(self.body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        servers.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
    yield [f"127.0.0.1:{server.server_port}" for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_summary_of_the_workers(endpoints: list[str]) -> None:
    scrapes = [scrape for scrape in map(fetch, [*endpoints, "127.0.0.1:1"]) if scrape is not None]
    summary = summarize(scrapes, 4)
    assert (summary.workers.asked, summary.workers.answered, summary.workers.ready) == (4, 2, 2)
    assert (summary.lag, summary.learner_lag, summary.loss, summary.tests) == (7, 7, 4.5, 400)
    accuracy = {one.method: (round(one.recall, 3), round(one.mrr, 3)) for one in summary.accuracy}
    assert accuracy == {"model": (0.2, 0.2), "popularity": (0.0, 0.0)}


def test_without_an_answer_the_figures_are_unknown() -> None:
    summary = summarize([], 1)
    assert (summary.lag, summary.loss, summary.dead_letters, summary.accuracy, summary.workers.answered) == (
        None,
        None,
        None,
        [],
        0,
    )


async def test_the_rate_and_the_freshness() -> None:
    now = [0.0]
    live = LiveTopics(lambda: now[0])
    for second in range(10):
        now[0] = float(second)
        await live.take_events([SimpleNamespace(partition=0, offset=second * 20 + n, timestamp=1000) for n in range(20)])
    assert live.events_per_second == pytest.approx(24, abs=4.1)
    for offset in range(200):
        live.ranking(0, offset, 1000 + offset)
    freshness = live.freshness
    assert (freshness.p50, freshness.p90, freshness.p99, freshness.samples) == (99, 179, 197, 200)
    now[0] = 100.0
    assert live.events_per_second == 0
