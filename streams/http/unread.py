"""The transport of a request of which the body has not ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class UnreadTransport:
    """What uvicorn uses of a transport. Only ``close`` differs from that of the connection.

    A client that still sends would lose the answer if the connection closed (RFC 9112, 9.6).
    """

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing = transport.write, transport.is_closing
        self.close = close
