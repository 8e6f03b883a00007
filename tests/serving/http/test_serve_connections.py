"""What `ouzel serve` does with connections that are slow, endless, idle or too many."""

from __future__ import annotations

import socket
import time

import pytest
from support.processes.running import wait_until
from support.processes.serve_process import ServeProcess


def raw(server: ServeProcess, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send parts on one connection; returns all that comes back until it ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
        except (BrokenPipeError, ConnectionResetError):
            pass  # rejected before the end
        got = b""
        try:
            while part := connection.recv(65536):
                got += part
        except ConnectionResetError:
            pass
        return got


HEAD = b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("parts", "pause_s", "status"),
    [
        pytest.param([b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 20_000], 0.0, 431, id="endless header"),
        pytest.param([b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 5000], 0.0, 431, id="endless headers"),
        pytest.param([b"GET /" + b"x" * 20_000], 0.0, 431, id="endless path"),
        pytest.param([b"GET / HTTP/1.1\r\n", *[b"x: y\r\n"] * 20], 0.1, 408, id="slow header"),
        pytest.param([HEAD + b"content-length: 1000\r\n\r\n", *[b" "] * 20], 0.1, 408, id="slow body"),
        pytest.param([HEAD + b"content-length: 1000000\r\n\r\n"], 0.0, 413, id="large content-length"),
        pytest.param([HEAD + b"transfer-encoding: chunked\r\n\r\nff0\r\n" + b" " * 0xFF0 + b"\r\n"], 0.0, 408, id="endless"),
        pytest.param([b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"], 0.0, 400, id="TLS"),
        pytest.param([b"GET / HTTP/9.9\r\n\r\n"], 0.0, 400, id="unknown version"),
        pytest.param([b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n"], 0.0, 400, id="a path that is not ASCII"),
        pytest.param([b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"], 0.0, 400, id="two lengths"),
    ],
)  # fmt: skip
def test_a_slow_or_endless_request_is_answered_and_disconnected(
    served: ServeProcess, parts: list[bytes], pause_s: float, status: int
) -> None:
    began = time.monotonic()
    answer = raw(served, *parts, pause_s=pause_s)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:300]
    assert b"application/problem+json" in answer
    assert time.monotonic() - began < 6.0
    assert served.call("GET", "/health/live").status == 200


def test_a_client_that_sends_nothing_is_disconnected(served: ServeProcess) -> None:
    began = time.monotonic()
    assert raw(served) == b""
    assert 1.0 < time.monotonic() - began < 5.0


def test_a_connection_above_the_limit_gets_503_and_health_checks_an_answer(served: ServeProcess) -> None:
    busy = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(50)]
    try:
        for connection in busy:
            connection.sendall(b"GET /v1/popular HTTP/1.1\r\n")  # its head has no end
        wait_until(lambda: served.call("GET", "/v1/popular").status == 503, "all places are taken", 5)
        refused = served.call("GET", "/v1/popular")
        assert refused.body["type"] == "/reference#busy"
        assert refused.headers["retry-after"] == "1"
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert served.call("GET", path).status == 200
    finally:
        for connection in busy:
            connection.close()
    wait_until(lambda: served.call("GET", "/v1/popular").status == 200, "free connections")


def test_malformed_requests_are_logged_seldom(served: ServeProcess) -> None:
    for _ in range(50):
        raw(served, b"nonsense\r\n\r\n")
    assert 1 <= served.log.read_text().count("malformed_request") <= 3
    assert served.metrics()["ouzel_serve_connections_cut_total|reason=malformed"] >= 50
