"""Adds bounds to uvicorn's HTTP/1.1 protocol that it lacks: of bytes, of time, and of requests.

docs/decisions/0012 says why Ouzel keeps uvicorn and what its protocol lacks.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from streams.http.answering import AnswerTransport
from streams.http.bounds import CHECKS, LINGER_S, MOST_QUEUED, Bounds
from streams.http.deadline import Deadline
from streams.http.framing import WATCHED, Framing
from streams.http.refusals import Refusal

STREAMED = "ouzel.streamed"
"""The key in an ASGI scope that an app sets to mark an endless response."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with bounds.

    - A request has ``timeout_s`` from its first byte to its last, whether or not it was answered.
      An answer that the client does not read has as long.
    - Its head, the lines between the chunks of its body, and its trailers have at most
      ``max_head_bytes`` together. Trailers are dropped: they would count as headers otherwise.
    - An answer that begins before the body has ended closes the connection.
    - At most `MOST_QUEUED` requests wait behind another, and none behind a stream.

    asyncio and uvicorn call the methods on the event loop, as they call those of the base class.
    """

    bounds: Bounds
    _answer: AnswerTransport

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._framing = Framing(self.bounds.max_head_bytes)
        self._running: RequestResponseCycle | None = None
        self._in_head = self._unfinished = True
        self._ending = self._keep_alive = False
        timeout_s = self.bounds.timeout_s
        self._arrival = Deadline(self.loop, timeout_s)
        self._reading = Deadline(self.loop, timeout_s)
        self._lingering = Deadline(self.loop, min(LINGER_S, timeout_s))

    # The life of the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._general = self.bounds.places.enter(self)
        self._arrival.start(self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self.bounds.places.leave(self)
        for deadline in (self._arrival, self._reading, self._lingering):
            deadline.stop()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        if self._running is not None:  # uvicorn tells only the newest request
            _disconnect(self._running)
        super().connection_lost(exc)
        # They refer to this connection.
        self.cycle = self._running = self._answer = None  # type: ignore[assignment]

    def eof_received(self) -> None:
        """Let the transport close."""
        self._await_reader()

    def evict(self, reason: str) -> None:
        """End at once: a connection that waits for its client would do so without a place."""
        if not self._ending:
            self.bounds.count(reason)
        self._ending = True
        self.transport.abort()

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        if self._streams():
            self._abort("behind_stream")
            return
        self._unset_keepalive_if_required()
        self._unfinished = True
        self.bounds.places.busy(self)
        self._framing.received(len(data))
        try:
            self.parser.feed_data(data)
            self._framing.within()
        except httptools.HttpParserUpgrade:  # the request is answered as HTTP/1.1 (RFC 9110, 7.8)
            self.cycle.keep_alive = False
        except Refusal as refusal:
            self._refuse(refusal)
        except httptools.HttpParserError as error:
            self._refuse(Refusal.of(error))
        else:
            if self._unfinished and not self.transport.is_closing():
                self._arrival.start(self._too_slow)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unfinished = True

    def on_url(self, url: bytes) -> None:
        self._framing.parsed(len(url))
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._framing.field(len(name) + len(value) + len(": \r\n"))
        if self._in_head:  # else it is a trailer
            name = name.lower()
            if name in WATCHED:
                self._framing.header(name, value)
            elif name == b"expect":
                # A client of HTTP/1.0 would take the interim response for the answer.
                self.expect_100_continue = value.lower() == b"100-continue" and self.parser.get_http_version() == "1.1"
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MOST_QUEUED:
            raise Refusal("busy", "queue", f"at most {MOST_QUEUED} requests may wait on one connection")
        if not self._general and self.url.partition(b"?")[0] not in CHECKS:
            raise Refusal.full()
        super().on_headers_complete()
        self._in_head = False
        self._keep_alive = self.cycle.keep_alive and self._general
        self.cycle.keep_alive = False  # until the last byte: an earlier answer closes the connection
        self.cycle.transport = self._answer = AnswerTransport(self.transport, self._linger)  # type: ignore[assignment]
        self._end_behind_stream_soon()

    def on_body(self, body: bytes) -> None:
        self._framing.body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.cycle.response_started:  # the parser obeys a trailer that closes the connection
            self.cycle.keep_alive = self._keep_alive and self.parser.should_keep_alive()
        self._answer.unread = False
        super().on_message_complete()
        if not self._general:
            self.bounds.places.renew(self)
        self._in_head, self._unfinished = True, False
        self._framing.complete()
        self._arrival.stop()

    # What is answered

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self._task_done)
        self.tasks.add(task)
        self._end_behind_stream_soon()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.transport.is_closing():  # the app failed while it answered
            self._close()

    def on_response_complete(self) -> None:
        if self._running is not None:
            self._running.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self._ending or self._arrival.runs:  # in the latter case, the next request has begun
            self._unset_keepalive_if_required()
        elif self.timeout_keep_alive_task is not None:
            self.bounds.places.idle(self)

    def shutdown(self) -> None:
        self._keep_alive = False
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.start(self._not_read)

    def resume_writing(self) -> None:
        if not self.transport.is_closing():
            self._reading.stop()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    # How it ends

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a refused request, unless an earlier one is being answered, and close."""
        if self._ending or self.transport.is_closing():
            return
        if self._streams():
            self._abort("behind_stream")
            return
        self.bounds.count(refusal.reason)
        if refusal.kind == "malformed":
            self.logger.warning("malformed_request")  # the log passes this once in ten seconds
        refused = None if self._in_head else self.cycle
        if refused is not None and self.pipeline and self.pipeline[0][0] is refused:
            self.pipeline.popleft()
        elif refused is not None:
            if refused.response_started:
                self.transport.abort()
                return
            _disconnect(refused)
            self._running = None
        earlier = self.pipeline[0][0] if self.pipeline else self._running
        if earlier is not None and not earlier.response_complete:
            self._end_after(earlier)
            return
        status, headers, body = refusal.answer(self.bounds.types_at)
        lines = b"".join(b"%s: %s\r\n" % header for header in [*self.server_state.default_headers, *headers])
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self._linger()

    def _end_after(self, cycle: RequestResponseCycle) -> None:
        """Read no more, and close once this request has been answered."""
        self._ending = True
        self._arrival.stop()
        cycle.keep_alive = False
        self._end_behind_stream_soon()

    def _linger(self) -> None:
        """Send nothing more, and close after the client or after `LINGER_S`.

        To close with unread data would discard the answer (RFC 9112, 9.6).
        """
        if not self.transport.is_closing():
            self._end()
            self.transport.write_eof()
            self._lingering.start(self.transport.abort)

    def _close(self) -> None:
        """Close, once the client has read what was sent to it or its time to do so has passed."""
        self._end()
        self.transport.close()
        self._await_reader()

    def _await_reader(self) -> None:
        """Bound the time that a close takes: it waits until the client has read what was sent."""
        if self.transport.get_write_buffer_size():
            self._reading.start(self._not_read)

    def _end(self) -> None:
        """Read no more. From here on, another connection may take the place."""
        self._ending = True
        self._arrival.stop()
        self.bounds.places.idle(self)

    def _abort(self, reason: str) -> None:
        self._ending = True
        self.bounds.count(reason)
        self.transport.abort()

    def _too_slow(self) -> None:
        if self._in_head and not self._framing.begun:  # it is silent
            self._close()
            return
        part, reason = ("headers", "slow_head") if self._in_head else ("body", "slow_body")
        self._refuse(Refusal("too-slow", reason, f"the {part} did not arrive within {self.bounds.timeout_s:g} s"))

    def _not_read(self) -> None:
        self._abort("slow_reader")

    def _streams(self) -> bool:
        return self._running is not None and STREAMED in self._running.scope and not self._running.response_complete

    def _end_behind_stream_soon(self) -> None:
        """Abort if more has arrived behind a request that, once it has started, is a stream."""
        if self.pipeline or self._ending:
            self.loop.call_soon(self._end_behind_stream)

    def _end_behind_stream(self) -> None:
        if self._streams() and not self.transport.is_closing():
            self._abort("behind_stream")


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the app that its client has gone. What it still sends is dropped."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()


def bounded(bounds: Bounds) -> type[BoundedProtocol]:
    """Return the protocol's class with these bounds: uvicorn creates its instances without them."""
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds})
