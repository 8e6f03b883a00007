"""The endpoint from which Prometheus scrapes a worker or an intake."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from contextlib import suppress

import pytest
from prometheus_client import CollectorRegistry, Gauge
from support.attacks import connect
from support.processes.running import free_port

from streams.observing.endpoint import MOST_CONNECTIONS, serve_metrics
from streams.settings import SettingsError


@pytest.fixture(scope="module")
def port() -> int:
    registry, at = CollectorRegistry(), free_port()
    Gauge("answer", "The answer.", registry=registry).set(42)
    serve_metrics(registry, "127.0.0.1", at)
    return at


def scrape(port: int, method: str = "GET", path: str = "/metrics", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_a_scrape_is_answered_in_the_format_that_it_accepts(port: int) -> None:
    status, headers, body = scrape(port)
    assert status == 200
    assert b"answer 42.0" in body
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    _, headers, body = scrape(port, accept="application/openmetrics-text; version=1.0.0")
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    _, headers, body = scrape(port, accept_encoding="gzip")
    assert b"answer 42.0" in gzip.decompress(body)


def test_headers_of_any_bytes_are_answered(port: int) -> None:
    assert scrape(port, accept="\xff", accept_encoding="\xfe", x="\xfd")[0] == 200


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"])
def test_many_unfinished_requests_take_no_threads_and_leave_room_for_a_scrape(port: int, sent: bytes) -> None:
    before = threading.active_count()
    held = [connect(port) for _ in range(150)]
    for client in held:
        with suppress(OSError):  # replaced by a newer one
            client.sendall(sent)
    assert scrape(port)[0] == 200
    assert threading.active_count() == before
    for client in held:
        client.settimeout(2)
        client.close()
    assert MOST_CONNECTIONS < 150


def test_a_large_head_is_answered(port: int) -> None:
    assert scrape(port, x="x" * 20_000)[0] == 431


def test_a_port_in_use_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SettingsError, match="OUZEL_METRICS_PORT: cannot listen"):
        serve_metrics(CollectorRegistry(), "127.0.0.1", taken.getsockname()[1])


def test_a_host_that_no_name_can_have_is_one_clear_error() -> None:
    with pytest.raises(SettingsError, match="cannot listen on"):
        serve_metrics(CollectorRegistry(), "x" * 300, 9464)
