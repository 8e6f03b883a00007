"""Which pages of other origins may call the API: what a preflight passes, and what at the start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.asgi import call
from support.processes.running import environment, fresh_settings
from typer.testing import CliRunner

from serving.app import create_app
from serving.cli import build
from serving.key_file import new_key, write_keys
from serving.state.keys import Keys
from serving.state.service import Service
from serving.state.telemetry import ServingTelemetry
from streams.errors import Refused
from streams.events.decode import EventDecoder
from streams.settings import Settings

LOCAL, SHOP, EVIL = "http://localhost:3000", "https://shop.example", "https://evil.example"
PREFLIGHT = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service without keys, for pages of `LOCAL`."""
    settings = fresh_settings("127.0.0.1:1", tmp_path).model_copy(update={"serve_cors_origins": [LOCAL]})
    return Service(settings, Keys(None), EventDecoder(), ServingTelemetry(), lambda _: None)


async def test_a_preflight_passes_the_check_of_the_host(service: Service) -> None:
    app = create_app(service)
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example"):
        refused = await call(app, "OPTIONS", "/v1/events", origin=LOCAL, host=host, **PREFLIGHT)
        assert refused.status == 403
        assert b"foreign-host" in refused.body
        assert not [name for name in refused.headers if name.startswith("access-control")]
    allowed = await call(app, "OPTIONS", "/v1/events", origin=LOCAL, host="localhost:8080", **PREFLIGHT)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, LOCAL)
    other = await call(app, "OPTIONS", "/v1/events", origin=EVIL, **PREFLIGHT)
    assert other.status == 400
    assert "access-control-allow-origin" not in other.headers
    value = service.telemetry.registry.get_sample_value
    assert value("ouzel_serve_auth_refusals_total", {"reason": "host"}) == 3
    for status, count in (("403", 3), ("200", 1), ("400", 1)):
        labels = {"route": "none", "method": "other", "status": status}
        assert value("ouzel_serve_requests_total", labels) == count, "preflights are counted"


async def test_pages_of_an_origin_can_read_every_answer_and_every_problem(service: Service) -> None:
    app = create_app(service)
    for path, status in (
        ("/health/live", 200),
        ("/health/ready", 503),
        ("/v1/items", 503),
        ("/nowhere", 404),
        (f"/{'x' * 3000}", 414),
    ):
        answer = await call(app, "GET", path, origin=LOCAL)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, LOCAL), path
        assert "access-control-allow-origin" not in (await call(app, "GET", path, origin=EVIL)).headers


@pytest.mark.parametrize("origins", [["*"], [SHOP], [LOCAL, SHOP], [LOCAL, "*"], ["http://localhost.evil.example"]])
def test_without_keys_only_origins_of_this_machine_are_allowed(
    origins: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="OUZEL_SERVE_CORS_ORIGINS: without API keys, the pages of ") as caught:
        serve(tmp_path, monkeypatch, OUZEL_SERVE_CORS_ORIGINS=json.dumps(origins))
    assert origins[-1] in str(caught.value)
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (2, False)


@pytest.mark.parametrize("origins", [[], [LOCAL, "http://127.0.0.1", "http://[::1]:3000"]])
def test_without_keys_origins_of_this_machine_pass(origins: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Passed):
        serve(tmp_path, monkeypatch, OUZEL_SERVE_CORS_ORIGINS=json.dumps(origins))


@pytest.mark.parametrize("origins", [["*"], [SHOP]])
def test_with_keys_every_origin_passes(origins: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [new_key("shop", ["read"], 0)[1]])
    with pytest.raises(Passed):
        serve(tmp_path, monkeypatch, OUZEL_SERVE_CORS_ORIGINS=json.dumps(origins), OUZEL_SERVE_KEYS=str(path))


def test_a_file_of_keys_that_others_can_write_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [new_key("shop", ["read"], 0)[1]])
    path.chmod(0o664)
    with pytest.raises(Refused, match="has the mode 0664, so others could make keys: run chmod go-w") as caught:
        serve(tmp_path, monkeypatch, OUZEL_SERVE_KEYS=str(path))
    assert str(caught.value).startswith(f"OUZEL_SERVE_KEYS: {path} has")
    assert (caught.value.exit_code, "\n" in str(caught.value)) == (2, False)


@pytest.mark.parametrize(
    "origin",
    [
        "shop.example",
        "https://shop.example/",
        "https://shop.example/page",
        "https://Shop.example",
        "null",
        "http://*.example",
        "",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match=r"is no origin: write it as a browser sends it, such as https://shop\.example"):
        Settings(serve_cors_origins=[origin])


class Passed(Exception):
    """The command got as far as the topics."""


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch, **extra: str) -> None:
    def passed(_: object) -> None:
        raise Passed

    monkeypatch.setattr("serving.commands.serve.describe_topics", passed)
    for name, value in (environment(fresh_settings("127.0.0.1:1", folder)) | extra).items():
        monkeypatch.setenv(name, value)
    CliRunner().invoke(build(), ["serve"], catch_exceptions=False)
