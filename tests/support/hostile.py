"""Hostile HTTP connections of every kind, each of which begins again when the server ends it.

``python -m support.hostile PORT CONNECTIONS`` runs until it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import uvloop

HOST = b"host: localhost\r\n"
GET = b"GET /v1/popular HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /v1/events HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
LINES = POST.replace(b"application/json", b"application/x-ndjson")
STREAM = b"GET /v1/live/stream HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
AGAIN_S = 0.5
"""The shortest time from the end of a connection to the next attack."""
MEGABYTE = 999_999


def _with_body(head: bytes, body: bytes) -> bytes:
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


class Attack(NamedTuple):
    """What a connection sends: first ``opening``, then ``more`` every ``pause_s`` until it ends."""

    opening: bytes
    more: bytes = b""
    pause_s: float = 0.05
    reads: bool = True
    leaves: bool = False
    """Whether the client leaves after the opening, with a reset."""


ATTACKS: Mapping[str, Attack] = {
    "silent": Attack(b"", pause_s=1),
    "slow head": Attack(b"GET / HTTP/1.1\r\n", b"a: b\r\n", 0.5),
    "slow body": Attack(POST + b"content-length: 100000\r\n\r\n", b" ", 0.5),
    "slow chunks": Attack(CHUNKED, b"1\r\n \r\n", 0.5),
    "blank lines": Attack(b"", b"\r\n" * 1000),
    "endless head": Attack(b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 1000),
    "endless trailers": Attack(CHUNKED + b"0\r\n", b"a:\r\n" * 1000),
    "endless chunk extension": Attack(CHUNKED + b"1;", b"x" * 1000),
    "tiny chunks": Attack(CHUNKED, b"1\r\n \r\n" * 200),
    "flood of requests": Attack(GET * 4000, pause_s=0.5),
    "unread answers": Attack(b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n", GET, 0.2, reads=False),
    "unread body": Attack(b"POST /v1/nothing HTTP/1.1\r\n" + HOST + b"content-length: 1000\r\n\r\n", b"x", 0.2),
    "requests behind a stream": Attack(STREAM, GET, 0.2),
    "a stream that is left": Attack(STREAM + GET * 3, pause_s=0.2, leaves=True),
    "nonsense": Attack(bytes(range(256)) * 4, pause_s=0.2),
    "headers twice": Attack(GET[:-2] + HOST + b"\r\n", pause_s=0.2),
    "a megabyte of numbers": Attack(_with_body(POST, b"[" + b"1," * (MEGABYTE // 2 - 1) + b"1]"), pause_s=4),
    "a megabyte of blank lines": Attack(_with_body(LINES, b"\n" * MEGABYTE), pause_s=4),
    "deep arrays": Attack(_with_body(POST, b"[" * MEGABYTE), pause_s=4),
    "500 bad records": Attack(_with_body(POST, json.dumps([{"user_id": "x" * 1000}] * 500).encode()), pause_s=4),
}


async def attack_for_ever(port: int, attack: Attack) -> None:
    """Attack on one connection after another."""
    while True:
        with suppress(OSError, RuntimeError):  # the loop raises the latter on a closed transport
            await _attack(port, attack)
        await asyncio.sleep(max(AGAIN_S, attack.pause_s))


async def _attack(port: int, attack: Attack) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        ended = asyncio.ensure_future(_ended(reader)) if attack.reads else asyncio.get_running_loop().create_future()
        writer.write(attack.opening)
        while not ended.done() and not writer.is_closing():
            await asyncio.wait([ended], timeout=attack.pause_s)
            if attack.leaves:
                break
            writer.write(attack.more)
            await asyncio.wait_for(writer.drain(), 30)
        ended.cancel()
    finally:
        if attack.leaves:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    with suppress(OSError, RuntimeError):  # the loop raises the latter on a closed transport
        while await reader.read(65_536):
            pass


async def attack_with(port: int, connections: int) -> None:
    """Attack with some connections at once, of all kinds in turn."""
    kinds: Sequence[Attack] = list(itertools.islice(itertools.cycle(ATTACKS.values()), connections))
    await asyncio.gather(*(attack_for_ever(port, kind) for kind in kinds))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(attack_with(int(sys.argv[1]), int(sys.argv[2])))
