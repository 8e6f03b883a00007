"""API keys over TCP: their scopes, pages of other origins, and streams whose key is revoked."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.processes.running import fresh_settings
from support.processes.serve_process import ServeProcess

from serving.key_file import SCOPES, new_key, write_keys
from streams.kafka.topics import create_topics
from streams.settings import Settings

EVENT = {"user_id": "ann", "item_id": "a"}


def started(settings: Settings, log: Path, **extra: str) -> ServeProcess:
    server = ServeProcess(settings, log, **extra)
    server.start()
    return server


def test_keys_their_scopes_and_cors_over_http(embedded: str, tmp_path: Path) -> None:
    settings = fresh_settings(embedded, tmp_path)
    create_topics(settings)
    made = [new_key(scope, [scope], 0) for scope in SCOPES]
    gone, revoked = new_key("gone", ["read"], 0)
    write_keys(tmp_path / "keys.json", [*(kept for _, kept in made), revoked])
    reader, sender, admin = ({"authorization": f"Bearer {text}"} for text, _ in made)
    keys = {"OUZEL_SERVE_KEYS": str(tmp_path / "keys.json")}
    server = started(settings, tmp_path / "serve.log", OUZEL_SERVE_CORS_ORIGINS='["https://shop.example"]', **keys)
    try:
        server.wait_ready()
        for headers, method, path, body, status in [
            ({}, "GET", "/v1/popular", None, 401),
            ({"authorization": "Bearer nonsense"}, "GET", "/v1/popular", None, 401),
            (sender, "GET", "/v1/popular", None, 403),
            (reader, "GET", "/v1/popular", None, 200),
            (reader, "POST", "/v1/events", EVENT, 403),
            (sender, "POST", "/v1/events", EVENT, 202),
            (sender, "DELETE", "/v1/users/ann", None, 403),
            (reader, "PUT", "/v1/items/a", {}, 403),
            (admin, "PUT", "/v1/items/a", {}, 200),
            (admin, "DELETE", "/v1/users/ann", None, 202),
            ({}, "GET", "/health/ready", None, 200),
            ({}, "GET", "/reference", None, 200),
            (reader | {"host": "shop.example"}, "GET", "/v1/popular", None, 200),
        ]:
            assert server.call(method, path, body, headers).status == status, (method, path, status)
        _only_a_header_is_a_key(server, sender["authorization"].encode())
        origin = {"origin": "https://shop.example"}
        preflight = server.call("OPTIONS", "/v1/events", None, origin | {"access-control-request-method": "POST"})
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
        assert (
            "access-control-allow-origin"
            not in server.call("GET", "/v1/popular", None, {"origin": "https://evil.example"}).headers
        )
        answered = server.call("GET", "/v1/popular", None, origin | reader)
        assert answered.headers["access-control-allow-origin"] == "https://shop.example"
        assert server.metrics()["ouzel_serve_auth_refusals_total|reason=unknown"] == 1
        assert "no keys are set" not in server.log.read_text()
        with _stream(server, f"Bearer {gone}") as connection:
            write_keys(tmp_path / "keys.json", [kept for _, kept in made])
            rest = b"".join(iter(lambda: connection.recv(4096), b""))
        assert b"event:" not in rest, "the stream of a revoked key ends without another event"
        assert server.call("GET", "/v1/popular", None, {"authorization": f"Bearer {gone}"}).status == 401
        _stream_ends_with_the_process(server, reader["authorization"])
    finally:
        server.kill()


def _only_a_header_is_a_key(server: ServeProcess, key: bytes) -> None:
    """A trailer is none, and of two headers none is chosen."""
    event = b"2a\r\n" + b'{"user_id": "trailer", "item_id": "mug"}  ' + b"\r\n"
    head = b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
    trailers = b"0\r\nauthorization: " + key + b"\r\n\r\n"
    twice = head + (b"authorization: " + key + b"\r\n") * 2
    for sent, status in ((head + b"\r\n" + event + trailers, b"401"), (twice + b"\r\n" + event + b"0\r\n\r\n", b"400")):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(sent)
            assert connection.recv(4096).split()[1] == status


@contextmanager
def _stream(server: ServeProcess, authorization: str) -> Iterator[socket.socket]:
    """Open the stream of ann, and read its beginning."""
    head = f"host: localhost\r\nauthorization: {authorization}\r\nconnection: close\r\n\r\n"
    request = f"GET /v1/users/ann/stream HTTP/1.1\r\n{head}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request.encode())
        got = b""
        while b"retry: 2000" not in got:
            got += connection.recv(4096)
        yield connection


def _stream_ends_with_the_process(server: ServeProcess, authorization: str) -> None:
    with _stream(server, authorization) as connection:
        assert server.metrics()["ouzel_serve_streams|kind=user"] == 1
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        while connection.recv(4096):
            pass
    assert server.process.wait(8) == 0, server.tail()
