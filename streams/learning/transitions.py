"""Decodes the records of the `transitions` topic. Pure.

Every replica of the model has to accept the same records, now and when it reads the log again. So
the verdict depends on the record alone: not on the end of a log, a clock or a setting.
"""

from __future__ import annotations

import re

import msgspec

from streams.errors import BadData
from streams.events.records import Transition
from streams.kafka.decoding import decoded
from streams.wire.record import KafkaRecord

MAX_DEPTH = 32
"""A value that nests deeper is refused. A transition has three levels.

The decoder has a limit, too, but that one depends on the depth of the caller's stack.
"""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_decode = msgspec.json.Decoder(Transition).decode


def transition_of(record: KafkaRecord) -> Transition:
    """Return the transition in a record.

    Raises `BadData` if it is not one, or if a value is out of the bounds of `Transition`.
    """
    value = record.value
    if value is not None and value.count(b"[") + value.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise BadData("too_deep", f"the record nests deeper than {MAX_DEPTH}")
    return decoded(_decode, value)


def _depth(value: bytes) -> int:
    """Return how deep a JSON value nests."""
    depth = deepest = 0
    for byte in _STRING.sub(b"", value):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
