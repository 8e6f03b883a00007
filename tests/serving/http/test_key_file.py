"""What a server answers while it cannot use its file of API keys."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.asgi import Answer, call
from support.processes.running import fresh_settings

from serving.app import create_app
from serving.http.sse import HEARTBEAT, RETRY, events
from serving.key_file import new_key, write_keys
from serving.state.cache import CachedRanking
from serving.state.keys import GRACE_S, Keys
from serving.state.service import Service
from serving.state.telemetry import ServingTelemetry
from streams.events.decode import EventDecoder


class Bench:
    """A service that is ready, with one key for everything, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now = folder / "keys.json", 0.0
        self.text, self.stored = new_key("all", ["read", "events", "admin"], 0)
        write_keys(self.path, [self.stored])
        keys = Keys(self.path, lambda: self.now)
        settings = fresh_settings("127.0.0.1:1", folder)
        self.service = Service(settings, keys, EventDecoder(), ServingTelemetry(), lambda _: None)
        self.service.ready = True
        self.app = create_app(self.service)

    async def get(self, path: str, key: str | None = None) -> Answer:
        return await call(self.app, "GET", path, authorization=f"Bearer {key or self.text}")

    def metric(self, name: str, **labels: str) -> float | None:
        return self.service.telemetry.registry.get_sample_value(name, labels)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.chmod(0o622), lambda path: path.write_text("{")])
async def test_after_the_grace_every_request_with_a_key_is_refused_and_the_server_is_not_ready(
    bench: Bench, spoil: Callable[[Path], object]
) -> None:
    assert (await bench.get("/v1/items")).status == 200
    spoil(bench.path)
    with capture_logs() as logs:
        bench.service.reload_keys()
        bench.now = GRACE_S - 1
        bench.service.reload_keys()
        assert (await bench.get("/v1/items")).status == 200, "the file may be replaced"
        assert (await bench.get("/health/ready")).status == 200
        bench.now = GRACE_S
        bench.service.reload_keys()
    assert [line["event"] for line in logs] == ["keys_not_reloaded", "keys_not_reloaded", "keys_refused"]
    assert str(bench.path) in logs[-1]["reason"]
    for key in (bench.text, "nonsense"):
        answer = await bench.get("/v1/items", key)
        problem = json.loads(answer.body)
        assert (answer.status, problem["type"]) == (503, "/reference#keys-unavailable")
        assert answer.headers["retry-after"] == "5"
        assert str(bench.path) not in answer.body.decode()
    assert (await bench.get("/health/live")).status == 200
    ready = await bench.get("/health/ready")
    assert (ready.status, json.loads(ready.body)["status"]) == (503, "no keys")
    assert bench.metric("ouzel_serve_auth_refusals_total", reason="key_file") == 2
    assert bench.metric("ouzel_serve_key_file_failures_total") == 3

    bench.path.unlink(missing_ok=True)
    write_keys(bench.path, [bench.stored])
    bench.service.reload_keys()
    assert (await bench.get("/v1/items")).status == 200
    assert (await bench.get("/health/ready")).status == 200
    assert (await bench.get("/v1/items", "nonsense")).status == 401


async def test_the_streams_of_a_revoked_key_end_when_the_file_was_read_again(bench: Bench) -> None:
    got: list[bytes] = []

    async def encode(ranking: CachedRanking | None) -> bytes:
        raise AssertionError("no event is sent")

    async def read() -> None:
        key = bench.text.encode()
        with bench.service.arrivals.stream("ann") as stream:
            async for part in events(stream, encode, bench.service.settings, lambda: bool(bench.service.keys.scopes(key))):
                got.append(part)

    reading = asyncio.create_task(read())
    async with asyncio.timeout(5):
        while not got:
            await asyncio.sleep(0)
        write_keys(bench.path, [bench.stored, new_key("other", ["read"], 0)[1]])
        bench.service.reload_keys()
        while len(got) < 2:
            await asyncio.sleep(0)
        assert not reading.done()
        write_keys(bench.path, [])
        bench.service.reload_keys()
        await reading
    assert got == [RETRY, HEARTBEAT]


async def test_the_streams_end_when_the_keys_are_refused(bench: Bench) -> None:
    with bench.service.arrivals.stream("ann") as stream:
        woken = asyncio.create_task(stream.wait(60.0))
        bench.path.unlink()
        bench.service.reload_keys()
        await asyncio.sleep(0)
        assert not woken.done()
        bench.now = GRACE_S
        bench.service.reload_keys()
        async with asyncio.timeout(5):
            assert not await woken
    assert bench.service.keys.scopes(bench.text.encode()) is None
