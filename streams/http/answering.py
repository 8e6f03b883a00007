"""The transport through which uvicorn answers one request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


class AnswerTransport:
    """What uvicorn uses of a transport, with two differences.

    It sends the head of an answer together with the first part of its body: two system calls would
    take a tenth of the time of a request. And while the request's body is ``unread``, `close` lets
    the client finish first, because it would lose the answer otherwise (RFC 9112, 9.6).
    """

    __slots__ = ("_head", "_linger", "_transport", "is_closing", "unread")

    def __init__(self, transport: asyncio.Transport, linger: Callable[[], None]) -> None:
        self._transport, self._linger = transport, linger
        self.is_closing = transport.is_closing
        self._head: bytes | None = b""
        """The head that was not sent yet, empty before it and ``None`` after it."""
        self.unread = True

    def write(self, data: bytes) -> None:
        """Send data, or keep it if it is the head."""
        if self._head is None or data == _INTERIM:
            self._transport.write(data)
        elif not self._head:
            self._head = data
        else:
            # Not `writelines`: asyncio's does not pause the app for a slow reader (CVE-2024-12254).
            self._transport.write(self._head + data)
            self._head = None

    def flush(self) -> None:
        """Send a head that no body follows."""
        if self._head:
            self._transport.write(self._head)
            self._head = None

    def close(self) -> None:
        """Close, once the client can have read the answer."""
        self.flush()
        if self.unread:
            self._linger()
        else:
            self._transport.close()
