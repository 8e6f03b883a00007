"""No connection outlives its place, its deadlines or its last answer, whatever happens to it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest
import uvloop
from prometheus_client import CollectorRegistry
from support.attacks import HOST, Listener, connect, exchange, statuses, until

from streams.http.framing import Framing
from streams.http.listener import listen
from streams.http.places import RESERVED
from streams.http.refusals import Refusal
from streams.observing import endpoint

GET = b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /read HTTP/1.1\r\n" + HOST
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


def connects_at_once(port: int, clients: int, stack: ExitStack) -> None:
    """Open connections before the server, on the same thread, can accept the first."""
    for _ in range(clients):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", port))


async def test_refused_clients_that_do_not_close_take_no_more_files_than_there_are_places() -> None:
    async with Listener(most=1, reserved=4, timeout_s=5).running() as listener:
        with ExitStack() as stack:
            stack.enter_context(connect(listener.port)).sendall(b"GET /x HT")
            await until(lambda: len(listener.places) == 1, "the general place is taken")
            for _ in range(40):
                client = stack.enter_context(connect(listener.port))
                client.sendall(GET)
                assert list(statuses(await asyncio.to_thread(client.recv, 4096))) == [503]
            assert len(listener.connections) <= 5
            assert listener.ended == {"full": 40}


async def test_a_refused_client_that_does_not_close_makes_room_for_a_new_one() -> None:
    async with Listener(most=1, timeout_s=5).running() as listener:
        with connect(listener.port) as refused:
            refused.sendall(b"nonsense\r\n\r\n")
            await until(lambda: listener.ended["malformed"] == 1, "the client is refused")
            assert list(statuses(await exchange(listener.port, GET[:-2] + b"connection: close\r\n\r\n"))) == [200]


@pytest.mark.parametrize("half_closed", [False, True])
async def test_an_answer_that_fails_and_is_not_read_frees_its_place(half_closed: bool) -> None:
    async with Listener(timeout_s=0.3).running() as listener:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", listener.port))
            client.sendall(b"GET /fail HTTP/1.1\r\n" + HOST + b"\r\n")
            await until(lambda: listener.requests == 1, "the answer has begun")
            if half_closed:
                client.shutdown(socket.SHUT_WR)
            await until(lambda: len(listener.places) == 0, "the place is free", 2)
            assert listener.ended == {"slow_reader": 1}


async def test_a_burst_of_connections_does_not_take_the_files_of_a_worker() -> None:
    listener = listen("127.0.0.1", 0)
    server = endpoint.server(CollectorRegistry())
    serving = asyncio.ensure_future(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0)
    with ExitStack() as stack:
        connects_at_once(listener.getsockname()[1], 500, stack)
        most = 0
        for _ in range(100):
            await asyncio.sleep(0)
            accepted = [task for task in asyncio.all_tasks() if "_accept_connection2" in repr(task)]
            most = max(most, len(accepted) + len(server.server_state.connections))
        assert 0 < most <= endpoint.MOST_CONNECTIONS + 2 * RESERVED
    server.should_exit = True
    await serving


async def test_a_refusal_is_the_only_answer_to_a_request_that_expects_100_continue(caplog: pytest.LogCaptureFixture) -> None:
    async with Listener().running() as listener:
        with caplog.at_level(logging.ERROR):
            answer = await exchange(listener.port, POST + b"expect: 100-continue\r\n" + CHUNKED + b"zz\r\n")
        assert list(statuses(answer)) == [400]
        assert not caplog.records


async def test_a_client_of_http_1_0_gets_no_interim_response() -> None:
    async with Listener().running() as listener:
        head = POST.replace(b"1.1", b"1.0") + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n"
        assert list(statuses(await exchange(listener.port, head + b"x"))) == [200]


async def test_a_trailer_that_closes_the_connection_is_obeyed() -> None:
    """The parser reads no further, so what the client sends later would have no answer."""
    async with Listener().running() as listener:
        answer = exchange(listener.port, POST + CHUNKED + b"0\r\nconnection: close\r\n\r\n")
        assert list(statuses(await asyncio.wait_for(answer, 2))) == [200]


async def test_a_head_that_begins_in_the_segment_of_another_request_gets_an_answer_at_its_deadline() -> None:
    async with Listener(timeout_s=0.2).running() as listener:
        assert list(statuses(await exchange(listener.port, GET + b"GET /x HT"))) == [200, 408]


def test_a_body_in_the_segment_of_another_request_leaves_no_room_for_more_framing() -> None:
    framing = Framing(16_384)
    framing.received(70_000)
    framing.complete()
    framing.body(60_000)
    framing.received(17_000)
    with pytest.raises(Refusal, match="at most 16384 bytes"):
        framing.within()


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.SelectorEventLoop], ids=["uvloop", "asyncio"])
def test_a_client_that_sends_its_whole_body_first_gets_an_answer_that_does_not_need_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """If the server closed at once, it would see a reset connection, and send the body again."""

    def post(port: int) -> int:
        client = HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("POST", "/deny", b"x" * 10_000_000)
        return client.getresponse().status

    async def posted() -> int:
        async with Listener(timeout_s=5).running() as listener:
            return await asyncio.to_thread(post, listener.port)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(posted()) == 401


async def test_a_client_that_sends_its_body_for_ever_is_disconnected_after_the_answer() -> None:
    async with Listener(timeout_s=0.3).running() as listener:
        head = b"POST /deny HTTP/1.1\r\n" + HOST + b"content-length: 100000000\r\n\r\n"
        answer = asyncio.ensure_future(exchange(listener.port, head, *[b"x"] * 1000, pause_s=0.02))
        await until(lambda: listener.requests == 1, "the request has begun")
        await until(lambda: len(listener.places) == 0, "the place is free", 1)
        assert list(statuses(await answer)) == [401]
