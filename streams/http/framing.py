"""Checks one request as its bytes arrive: how many frame its body, and which headers it repeats."""

from __future__ import annotations

from streams.http.refusals import Refusal

MOST_FIELDS = 100
"""Headers and trailers of a request: each costs a call, so a count of bytes is not enough."""
_ONCE = frozenset({b"host", b"authorization"})
WATCHED = _ONCE | {b"transfer-encoding"}
"""The headers that `Framing.header` checks, in lower case."""


class Framing:
    """The request that a connection reads now.

    All its bytes but those of the body count: the request line, the headers, the lines between
    chunks, and the trailers. They may have ``most`` bytes together. Methods raise `Refusal`.

    The connection calls `received` with each segment before the parser reads it, then `parsed`,
    `field` and `header` as the parser finds parts of a head, `body` for each part of a body, and
    `complete` at the end of a request. `within` is called once the parser has read a segment.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._received = self._parsed = self._fields = 0
        self._once: set[bytes] = set()

    @property
    def begun(self) -> bool:
        """Whether any byte of the request has arrived."""
        return self._received > 0 or self._parsed > 0

    def received(self, length: int) -> None:
        """Count a segment. Until the parser has read it, all of it counts as framing."""
        self._received += length

    def parsed(self, length: int) -> None:
        """Count a part of the request line. A segment may hold many requests."""
        self._parsed += length
        if self._parsed > self._most:
            raise self._too_large()

    def field(self, length: int) -> None:
        """Count a header or a trailer."""
        self._fields += 1
        self._parsed += length
        if self._fields > MOST_FIELDS or self._parsed > self._most:
            raise self._too_large()

    def header(self, name: bytes, value: bytes) -> None:
        """Check a header of `WATCHED` that is not a trailer. ``name`` is in lower case."""
        if name == b"transfer-encoding":
            if value.strip().lower() != b"chunked":
                raise Refusal("unknown-coding", "malformed", "the only transfer coding that the server can read is chunked")
        elif name in self._once:
            raise Refusal("malformed", "malformed", f"the header {name.decode()} occurs twice: send it once")
        else:
            self._once.add(name)

    def body(self, length: int) -> None:
        """Take a part of the body out of the count.

        A segment that also held the end of an earlier request is no longer in the count.
        """
        self._received = max(0, self._received - length)

    def within(self) -> None:
        """Check the count after a segment."""
        if self._received > self._most:
            raise self._too_large()

    def complete(self) -> None:
        """Begin to count the next request."""
        self._received = self._parsed = self._fields = 0
        self._once.clear()

    def _too_large(self) -> Refusal:
        parts = "request line, headers, chunk lines and trailers"
        most = f"{MOST_FIELDS} headers and trailers, and {parts} at most {self._most} bytes"
        return Refusal("head-too-large", "head", f"a request may have {most}: send fewer or shorter ones")
