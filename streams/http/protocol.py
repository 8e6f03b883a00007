"""Adds bounds to uvicorn's HTTP/1.1 protocol that it lacks: of bytes, of time, and of requests.

docs/decisions/0012 says why Ouzel keeps uvicorn and what its protocol lacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from streams.http.deadline import Deadline
from streams.http.framing import Framing
from streams.http.places import Places
from streams.http.refusals import Refusal

MOST_QUEUED = 16
"""The requests that may wait behind one that is being answered (HTTP pipelining)."""
LINGER_S = 1.0
"""How long a refused client may take to read the answer and to close."""
CHECKS = frozenset({b"/health/live", b"/health/ready", b"/metrics"})
"""The paths that a connection on a reserved place may request."""
STREAMED = "ouzel.streamed"
"""The key in an ASGI scope that an app sets to mark an endless response."""


@dataclass(frozen=True)
class Bounds:
    """The bounds of a listener's connections. ``count`` gets the reason of each early end."""

    places: Places
    max_head_bytes: int
    timeout_s: float
    count: Callable[[str], None] = field(default=lambda reason: None)
    types_at: str | None = None
    """The page that explains the kinds of problems."""


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
        # A request that was never begun refers to this connection.
        self.cycle = self._running = None  # type: ignore[assignment]

    def eof_received(self) -> None:
        """Let the transport close."""
        self._await_reader()

    def idle_until(self) -> float | None:
        """Return when its time to wait for a request ends, or ``None`` if one is under way."""
        if self._ending:
            return None
        if self.timeout_keep_alive_task is not None:
            return self.timeout_keep_alive_task.when()
        return self._arrival.at if self._is_silent() else None

    def evict(self, reason: str) -> None:
        """Answer 503 if a request is under way, and close. Nothing is read after this call."""
        if self.idle_until() is not None:
            self._abort(reason)
        else:
            self._refuse(_full(reason))

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        if self._streams():
            self._abort("behind_stream")
            return
        self._unset_keepalive_if_required()
        self._unfinished = True
        self._framing.received(len(data))
        try:
            self.parser.feed_data(data)
            self._framing.within()
        except httptools.HttpParserUpgrade:  # the request is answered as HTTP/1.1 (RFC 9110, 7.8)
            self.cycle.keep_alive = False
        except Refusal as refusal:
            self._refuse(refusal)
        except httptools.HttpParserError as error:
            self._refuse(_refusal(error))
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
        self._framing.parsed(len(name) + len(value) + len(": \r\n"))
        if self._in_head:  # else it is a trailer
            name = name.lower()
            self._framing.header(name, value)
            if name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MOST_QUEUED:
            raise Refusal("busy", "queue", f"at most {MOST_QUEUED} requests may wait on one connection")
        if not self._general and self.url.partition(b"?")[0] not in CHECKS:
            raise _full("full")
        super().on_headers_complete()
        self._in_head = False
        self._keep_alive = self.cycle.keep_alive and self._general
        self.cycle.keep_alive = False  # until the last byte: an earlier answer closes the connection
        self._end_behind_stream_soon()

    def on_body(self, body: bytes) -> None:
        self._framing.body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive
        super().on_message_complete()
        self._in_head, self._unfinished = True, False
        self._framing.complete()
        self._arrival.stop()

    # What is answered

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)
        self._end_behind_stream_soon()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self._arrival.at is not None:  # the next request has begun
            self._unset_keepalive_if_required()

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
        self._ending = True
        self._arrival.stop()
        # To close with unread data would discard the answer (RFC 9112, 9.6): the client goes first.
        self.transport.write_eof()
        self._lingering.start(self.transport.abort)

    def _end_after(self, cycle: RequestResponseCycle) -> None:
        """Read no more, and close once this request has been answered."""
        self._ending = True
        self._arrival.stop()
        cycle.keep_alive = False
        self._end_behind_stream_soon()

    def _close(self) -> None:
        """Close, once the client has read what was sent to it or its time to do so has passed."""
        self._ending = True
        self._arrival.stop()
        self.transport.close()
        self._await_reader()

    def _await_reader(self) -> None:
        """Bound the time that a close takes: it waits until the client has read what was sent."""
        if self.transport.get_write_buffer_size():
            self._reading.start(self._not_read)

    def _abort(self, reason: str) -> None:
        self._ending = True
        self.bounds.count(reason)
        self.transport.abort()

    def _too_slow(self) -> None:
        if self._is_silent():
            self._close()
            return
        part, reason = ("headers", "slow_head") if self._in_head else ("body", "slow_body")
        self._refuse(Refusal("too-slow", reason, f"the {part} did not arrive within {self.bounds.timeout_s:g} s"))

    def _not_read(self) -> None:
        self._abort("slow_reader")

    def _is_silent(self) -> bool:
        return self._in_head and not self._framing.begun

    def _streams(self) -> bool:
        return self._running is not None and STREAMED in self._running.scope and not self._running.response_complete

    def _end_behind_stream_soon(self) -> None:
        """Abort if more has arrived behind a request that, once it has started, is a stream."""
        if self.pipeline or self._ending:
            self.loop.call_soon(self._end_behind_stream)

    def _end_behind_stream(self) -> None:
        if self._streams() and not self.transport.is_closing():
            self._abort("behind_stream")


def _refusal(error: httptools.HttpParserError) -> Refusal:
    """Return the refusal that one of the parser's callbacks raised, or that of bytes it rejects."""
    cause = error.__context__
    if isinstance(cause, Refusal):
        return cause.with_traceback(None)  # it refers to frames that refer to it
    return Refusal("malformed", "malformed", "this is not HTTP/1.1")


def _full(reason: str) -> Refusal:
    return Refusal("busy", reason, "the server has as many connections as it may have", retry_after_s=1)


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the app that its client has gone. What it still sends is dropped."""
    if not cycle.response_complete:
        cycle.disconnected = True
    cycle.message_event.set()


def bounded(bounds: Bounds) -> type[BoundedProtocol]:
    """Return the protocol's class with these bounds.

    They are a class attribute because uvicorn creates the instances, one per connection, and cannot
    pass them other arguments.
    """
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": bounds})
