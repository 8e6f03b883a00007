"""The answers to requests that no app sees, as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

PROBLEM_JSON = "application/problem+json"


class Kind(NamedTuple):
    """A kind of problem: its status and its title."""

    status: int
    title: str


CONNECTION_KINDS: Mapping[str, Kind] = {
    "malformed": Kind(400, "The request is malformed"),
    "too-slow": Kind(408, "The request did not arrive in time"),
    "head-too-large": Kind(431, "The request line, the headers or the framing of the body are too large"),
    "unknown-coding": Kind(501, "The transfer coding is not supported"),
    "busy": Kind(503, "The server has reached its limit of connections or streams"),
}
"""The kinds of problems with which a connection answers by itself."""


class Refusal(Exception):
    """The end of a connection, because of what its client sends or does not send.

    ``kind`` is a key of `CONNECTION_KINDS`; ``reason`` is the label that metrics count it under.
    """

    def __init__(self, kind: str, reason: str, detail: str, retry_after_s: int | None = None) -> None:
        super().__init__(detail)
        self.kind, self.reason, self.detail, self.retry_after_s = kind, reason, detail, retry_after_s

    @classmethod
    def full(cls) -> Refusal:
        """Return the refusal of a request that needs a place while none is free."""
        return cls("busy", "full", "the server has as many connections as it may have", retry_after_s=1)

    @classmethod
    def of(cls, error: Exception) -> Refusal:
        """Return the refusal that a callback of the parser raised, or that of bytes it rejects."""
        cause = error.__context__
        if isinstance(cause, Refusal):
            return cause.with_traceback(None)  # it refers to frames that refer to it
        return cls("malformed", "malformed", "this is not HTTP/1.1")

    def answer(self, types_at: str | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Return the status, the headers and the body.

        ``types_at`` is the page whose anchors explain the kinds; without one there is no type.
        """
        status, title = CONNECTION_KINDS[self.kind]
        kind = {} if types_at is None else {"type": f"{types_at}#{self.kind}"}
        body = msgspec.json.encode({**kind, "title": title, "status": status, "detail": self.detail})
        headers = [
            (b"content-type", PROBLEM_JSON.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if self.retry_after_s is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after_s))
        return status, headers, body
