"""The records that a unit of work sends."""

from __future__ import annotations

Headers = list[tuple[str, bytes]]
Outgoing = tuple[bytes | None, bytes | None, Headers]
"""One record to send: key, value, headers. It is a tuple, because each event makes three."""
NO_HEADERS: Headers = []


class Outbox(dict[tuple[str, int], list[Outgoing]]):
    """Records to send, per topic and partition, in order."""

    def to(self, topic: str, partition: int) -> list[Outgoing]:
        """Return the list of records for one topic and partition, for the caller to append to."""
        return self.setdefault((topic, partition), [])
