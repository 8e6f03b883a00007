"""What a listener does with connections that are slow, endless, idle, hostile or too many."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import time

import pytest
import uvloop
from support.attacks import HOST, Listener, connect, exchange, statuses, until

HEALTH = b"GET /health/live HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"
POST = b"POST /read HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
GET = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
STREAM = b"GET /stream HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.mark.parametrize(
    ("parts", "status", "reason"),
    [
        pytest.param([CHUNKED + b"0\r\n", *[b"a:\r\n" * 10_000] * 100], 431, "head", id="trailers without end"),
        pytest.param([CHUNKED, *[b"1\r\nx\r\n" * 10_000] * 100], 431, "head", id="chunks of one byte without end"),
        pytest.param([CHUNKED + b"1;", *[b"x" * 60_000] * 100], 431, "head", id="a chunk extension without end"),
        pytest.param([b"GET / HTTP/1.1\r\n" + HOST, *[b"a: b\r\n" * 10_000] * 100], 431, "head", id="headers without end"),
        pytest.param([b"GET / HTTP/1.1\r\n" + HOST + b"a: ", *[b"b" * 60_000] * 100], 431, "head", id="a header without end"),
        pytest.param([b"GET /", *[b"x" * 60_000] * 100], 431, "head", id="a path without end"),
        pytest.param([*[b"\r\n" * 30_000] * 100], 431, "head", id="blank lines without end"),
        pytest.param([GET[:-2] + b"a: b\r\n" * 100 + b"\r\n"], 431, "head", id="101 headers"),
        pytest.param([CHUNKED + b"0\r\n" + b"a: b\r\n" * 100 + b"\r\n"], 431, "head", id="100 trailers"),
        pytest.param([GET[:-2] + b"a: " + b"b" * 17_000 + b"\r\n\r\n"], 431, "head", id="a large head in one segment"),
        pytest.param(
            [POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"], 501, "malformed", id="gzip as transfer coding"
        ),
        pytest.param([POST + b"transfer-encoding: identity\r\n\r\n"], 501, "malformed", id="identity as transfer coding"),
        pytest.param([GET[:-2] + HOST + b"\r\n"], 400, "malformed", id="Host twice"),
        pytest.param([GET[:-2] + b"authorization: a\r\nAuthorization: b\r\n\r\n"], 400, "malformed", id="Authorization twice"),
        pytest.param([b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n"], 400, "malformed", id="CONNECT"),
        pytest.param([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, "malformed", id="HTTP/2"),
    ],
)
async def test_a_request_that_no_app_should_see_is_answered_and_disconnected(
    parts: list[bytes], status: int, reason: str
) -> None:
    async with Listener().running() as listener:
        answer = await exchange(listener.port, *parts)
        assert list(statuses(answer)) == [status], answer[:300]
        assert b"application/problem+json" in answer
        assert b'"type":"/reference#' in answer
        assert listener.ended == {reason: 1}
        await until(lambda: len(listener.places) == 0, "the place is free")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        pytest.param([b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 100], "slow_head", id="headers"),
        pytest.param([POST + b"content-length: 1000\r\n\r\n", *[b"x"] * 100], "slow_body", id="body"),
        pytest.param([CHUNKED, *[b"1\r\nx\r\n"] * 100], "slow_body", id="chunks"),
        pytest.param([CHUNKED + b"0\r\n", *[b"a: b\r\n"] * 100], "slow_body", id="trailers"),
        pytest.param([*[b"\r\n"] * 100], "slow_head", id="blank lines"),
        pytest.param([GET, *[b"\r\n"] * 100], "slow_head", id="blank lines after an answer"),
        pytest.param([GET + b"GET /", *[b"x"] * 100], "slow_head", id="a second request"),
    ],
)  # fmt: skip
async def test_more_bytes_do_not_give_a_request_more_time(parts: list[bytes], reason: str) -> None:
    async with Listener().running() as listener:
        began = time.monotonic()
        answer = await exchange(listener.port, *parts, pause_s=0.03)
        assert list(statuses(answer))[-1] == 408, answer[:300]
        assert 0.4 < time.monotonic() - began < 2.5
        assert listener.ended == {reason: 1}


async def test_an_answer_before_the_end_of_the_body_closes_the_connection() -> None:
    """Otherwise one more byte would cancel the keep-alive time, and nothing would end it."""
    async with Listener().running() as listener:
        answer = await exchange(
            listener.port, b"POST /deny HTTP/1.1\r\n" + HOST + b"content-length: 9\r\n\r\n", b"x", pause_s=0.1
        )
        assert list(statuses(answer)) == [401]
        assert b"connection: close" in answer
        await until(lambda: len(listener.places) == 0, "the place is free")


async def test_a_trailer_is_not_a_header() -> None:
    async with Listener().running() as listener:
        sent = CHUNKED[:-2] + b"connection: close\r\n\r\n1\r\nx\r\n0\r\nauthorization: Bearer x\r\nhost: evil\r\n\r\n"
        assert list(statuses(await exchange(listener.port, sent))) == [200]
        assert [value for name, value in listener.headers if name in {b"authorization", b"host"}] == [b"localhost"]


async def test_at_most_16_requests_wait_behind_another() -> None:
    async with Listener().running() as listener:
        answer = await exchange(listener.port, GET * 13_000)
        assert list(statuses(answer)) == [200] * 17
        assert listener.requests == 17
        assert listener.ended == {"queue": 1}
        assert b"connection: close" in answer.rpartition(b"HTTP/1.1")[2]


async def test_sixteen_requests_in_one_segment_are_all_answered() -> None:
    async with Listener().running() as listener:
        answer = await exchange(listener.port, GET * 15 + HEALTH)
        assert list(statuses(answer)) == [200] * 16
        assert not listener.ended


async def test_a_refusal_waits_for_the_answers_before_it() -> None:
    """A client would take it for the answer to the first request otherwise."""
    async with Listener().running() as listener:
        answer = await exchange(listener.port, b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n" + b"nonsense\r\n\r\n")
        assert list(statuses(answer)) == [200]
        assert listener.ended == {"malformed": 1}


@pytest.mark.parametrize("behind", [b"x", GET, GET * 5], ids=["a byte", "a request", "five requests"])
@pytest.mark.parametrize("pause_s", [0.0, 0.1], ids=["at once", "later"])
@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
async def test_data_behind_a_stream_closes_the_connection(behind: bytes, pause_s: float, before: bytes) -> None:
    async with Listener().running() as listener:
        parts = [before + STREAM, behind] if pause_s else [before + STREAM + behind]
        await asyncio.wait_for(exchange(listener.port, *parts, pause_s=pause_s), 2)
        await until(lambda: listener.streams == 0, "the stream has ended")
        assert listener.ended["behind_stream"] == 1


async def test_a_stream_ends_with_its_client() -> None:
    async with Listener().running() as listener:
        client = connect(listener.port)
        client.sendall(GET + STREAM)
        await until(lambda: listener.streams == 1, "the stream has begun")
        client.close()
        await until(lambda: listener.streams == 0, "the stream has ended")


async def test_requests_that_wait_behind_a_client_that_left_are_dropped() -> None:
    async with Listener(timeout_s=5).running() as listener:
        client = connect(listener.port)
        client.sendall(b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n" + GET * 5)
        await until(lambda: listener.requests == 1, "the first request is being answered")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await until(lambda: len(listener.places) == 0, "the connection has ended")
        await asyncio.sleep(0.3)
        assert listener.requests <= 2


async def test_a_client_that_reads_nothing_is_disconnected() -> None:
    async with Listener().running() as listener:
        client = connect(listener.port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
        await until(lambda: listener.ended["slow_reader"] == 1, "the slow reader is disconnected")
        await until(lambda: len(listener.places) == 0, "the place is free")
        client.close()


async def test_a_client_that_reads_nothing_is_disconnected_even_after_the_last_answer() -> None:
    """A close waits until what was sent is read; the time for that has an end, too."""
    async with Listener().running() as listener:
        client = connect(listener.port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /large HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        await until(lambda: len(listener.places) == 0, "the place is free", 3)
        client.close()


async def test_an_upgrade_is_answered_as_http_1() -> None:
    async with Listener().running() as listener:
        answer = await exchange(
            listener.port, GET[:-2] + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n" + b"PRI * HTTP/2.0\r\n\r\n"
        )
        assert list(statuses(answer)) == [200]


@pytest.mark.parametrize("opening", [b"", b"GET /x HT", POST + b"content-length: 5\r\n\r\n"], ids=["silent", "head", "body"])
async def test_a_health_check_is_answered_while_every_place_is_taken(opening: bytes) -> None:
    async with Listener(most=20, reserved=4, timeout_s=5).running() as listener:
        held = [connect(listener.port) for _ in range(60)]
        for client in held:
            client.settimeout(0.2)
            try:
                client.sendall(opening)
            except OSError:
                continue  # evicted already
        for _ in range(10):
            assert list(statuses(await exchange(listener.port, HEALTH))) == [200]
        assert len(listener.places) <= 24
        for client in held:
            client.close()


async def test_only_health_checks_use_the_reserved_places() -> None:
    async with Listener(most=3, reserved=4, timeout_s=5).running() as listener:
        held = [connect(listener.port) for _ in range(3)]
        for client in held:
            client.sendall(b"GET /x HT")
        await asyncio.sleep(0.05)
        answer = await exchange(listener.port, GET)
        assert list(statuses(answer)) == [503]
        assert b"/reference#busy" in answer
        assert b"retry-after: 1" in answer
        answer = await exchange(listener.port, GET.replace(b"/x", b"/health/live") + GET)
        assert list(statuses(answer)) == [200], "a reserved place is free again after one answer"
        for client in held:
            client.close()


async def test_a_new_client_replaces_the_one_that_has_been_idle_longest() -> None:
    async with Listener(most=3, timeout_s=5).running() as listener:
        idle = [connect(listener.port) for _ in range(3)]
        for client in idle:
            client.sendall(GET)
            await asyncio.sleep(0.02)
        await until(lambda: listener.requests == 3, "all are answered")
        assert list(statuses(await exchange(listener.port, GET[:-2] + b"connection: close\r\n\r\n"))) == [200]
        assert listener.ended == {"idle": 1}
        for client in idle[1:]:
            client.sendall(GET)
        await until(lambda: listener.requests == 6, "the others go on")
        for client in idle:
            client.close()


def test_connections_leave_no_garbage_for_a_collection() -> None:
    """A collection is rare, so what only it frees would pile up to gigabytes under an attack."""

    def attack(port: int) -> None:
        unread = POST + b"content-length: 9\r\n\r\n"
        denied = unread.replace(b"/read", b"/deny")
        for sent in (GET * 3 + HEALTH, b"nonsense\r\n\r\n", CHUNKED + b"zz\r\n", GET * 40, unread, denied):
            for _ in range(10):
                client = connect(port)
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65_536):
                    pass
                client.close()

    async def garbage() -> int:
        async with Listener().running() as listener:
            await asyncio.to_thread(attack, listener.port)
            gc.collect()
            gc.disable()
            try:
                await asyncio.to_thread(attack, listener.port)
                await until(lambda: len(listener.places) == 0, "all have ended")
                return gc.collect()
            finally:
                gc.enable()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the loop of `ouzel serve`
        assert runner.run(garbage()) < 100


async def test_a_flood_on_many_connections_takes_no_memory() -> None:
    async with Listener().running() as listener:
        await asyncio.gather(*(exchange(listener.port, GET * 9_000) for _ in range(10)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(3):
            await asyncio.gather(*(exchange(listener.port, GET * 9_000) for _ in range(10)))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000
