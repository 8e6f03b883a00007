"""A stream of server-sent events ends when its client's key no longer admits it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.processes.running import fresh_settings

from serving.http.sse import HEARTBEAT, RETRY, events
from serving.state.arrivals import Arrivals
from serving.state.cache import CachedRanking
from streams.settings import Settings


def ranking(offset: int) -> CachedRanking:
    return CachedRanking("ann", None, 0, offset, offset, "", 0, "hybrid", b"")


class Client:
    """Reads a stream of ann, and has a key that can be revoked."""

    def __init__(self, settings: Settings, encode_revokes: bool = False) -> None:
        self.arrivals, self.admitted, self.got = Arrivals(lambda: None), True, list[bytes]()
        self._settings, self._encode_revokes = settings, encode_revokes

    async def read(self) -> None:
        async def encode(ranking: CachedRanking | None) -> bytes:
            self.admitted &= not self._encode_revokes
            return b"%d" % ranking.offset if ranking is not None else b"removed"

        with self.arrivals.stream("ann") as stream:
            async for part in events(stream, encode, self._settings, lambda: self.admitted):
                self.got.append(part)

    async def until(self, parts: int) -> None:
        async with asyncio.timeout(5):
            while len(self.got) < parts:
                await asyncio.sleep(0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fresh_settings("127.0.0.1:1", tmp_path).model_copy(update={"serve_heartbeat_s": 600.0})


@pytest.mark.parametrize("sent", [ranking(2), None])
async def test_a_stream_sends_no_event_after_its_key_was_revoked(settings: Settings, sent: CachedRanking | None) -> None:
    client = Client(settings)
    reading = asyncio.create_task(client.read())
    await client.until(1)
    client.arrivals.arrived(ranking(1))
    await client.until(2)
    client.admitted = False
    client.arrivals.removed("ann") if sent is None else client.arrivals.arrived(sent)
    async with asyncio.timeout(5):
        await reading
    assert client.got == [RETRY, b"1"]


async def test_a_key_that_is_revoked_while_an_event_is_encoded_gets_no_event(settings: Settings) -> None:
    client = Client(settings, encode_revokes=True)
    reading = asyncio.create_task(client.read())
    await client.until(1)
    client.arrivals.arrived(ranking(1))
    async with asyncio.timeout(5):
        await reading
    assert client.got == [RETRY]


async def test_a_stream_ends_when_the_keys_were_read_again_without_waiting_for_an_event(settings: Settings) -> None:
    client = Client(settings)
    reading = asyncio.create_task(client.read())
    await client.until(1)
    client.arrivals.wake()
    await client.until(2)
    assert client.got == [RETRY, HEARTBEAT], "its key is still valid"
    client.admitted = False
    client.arrivals.wake()
    async with asyncio.timeout(5):
        await reading
    assert client.got == [RETRY, HEARTBEAT]
    assert len(client.arrivals) == 0
