"""What takes the place of a batch that cannot be read: a record that says so. Pure.

`streams.wire.batches` makes this stand-in, at the last offset that the batch covers, so every
reader continues after it. Its value is the bytes of the batch, which the decoder of every topic
refuses: it counts as one bad record. A header with a secret of this process marks it, so no
producer can make such a record.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from streams.wire.record import KafkaRecord

HEADER = "ouzel-unreadable"
REASON = "unreadable_batch"
"""The reason of its dead letter."""
_SECRET = os.urandom(16)


class Unreadable(NamedTuple):
    """Offsets that could not be read, the first and the last one, and why."""

    first: int
    last: int
    why: str

    def mark(self) -> tuple[str, bytes]:
        """Return the header of the stand-in."""
        return HEADER, _SECRET + f"{self.first} {self.why}".encode(errors="replace")


def unreadable(record: KafkaRecord) -> Unreadable | None:
    """Return what a record stands in for, or ``None`` if it is an ordinary record."""
    for name, value in record.headers or ():
        if name == HEADER and value is not None and value.startswith(_SECRET):
            first, _, why = value[len(_SECRET) :].decode().partition(" ")
            return Unreadable(int(first), record.offset, why)
    return None
