"""Records that no reader of a topic can use, or that only an attacker or a broken disk makes.

`hostile` has some for every topic but `events`, whose bad records are in `faults.bad_input`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaProducer
from support.inputs.records import NEWER, RANKING, TRANSITION, update
from support.oracle import Place

from streams.learning.model_log import MAX_EPOCH
from streams.learning.snapshots import model_name
from streams.settings import Settings


class Sent(NamedTuple):
    """A record that was sent to a topic of ours."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def _transition(**fields: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(TRANSITION) | fields).encode()


def _not_utf8(value: bytes) -> bytes:
    return value.replace(b'"', b'"\xff', 1)


def _transitions() -> list[bytes | None]:
    return [
        None,
        b"",
        b"{no transition",
        _not_utf8(_transition()),
        _transition(item_id="@").replace(b"@", b"\xc3\x28"),
        _transition(prefix_length=2**40),
        _transition(source_partition=2**63),
        _transition(source_offset=2**62),
        _transition(source_offset=10**12),  # possible, but far beyond the end of the partition
        _transition(source_partition=1, source_offset=10**12),
        _transition(weight=1e300),
        _transition(weight=1).replace(b'"weight": 1', b'"weight": NaN'),
        _transition(timestamp=-(2**70)),
        b"[" * 5000,
    ]


def _manifest(**fields: Any) -> bytes:
    return json.dumps(msgspec.json.decode(NEWER[1][1]) | fields).encode()


def hostile(settings: Settings) -> list[Sent]:
    """The records, in an order in which each could do harm. ``settings`` name the model."""
    valid = update()
    flipped = bytes(byte ^ 1 if n == len(NEWER[1][1]) // 2 else byte for n, byte in enumerate(NEWER[1][1]))
    named = (("snapshot", b"newer"),)
    return [
        *(Sent("transitions", None, value) for value in _transitions()),
        Sent("model-updates", b"dense", b"\x80\x04nonsense"),
        Sent("model-updates", b"dense", valid[: len(valid) // 2]),
        Sent("model-updates", b"dense", None),
        Sent("model-updates", b"\xff", valid),
        Sent("model-updates", b"dense", update(model_name(settings), MAX_EPOCH)),  # no learner could exceed it
        Sent("model", None, b"\x80\x04nonsense"),
        Sent("model", None, flipped, named),
        Sent("model", None, _manifest(chunks=30_000_000), named),
        Sent("model", None, b"chunk", (*named, ("chunk", b"9" * 5000))),
        Sent("model", None, b"chunk", (("snapshot", b"\xff\xfe"), ("chunk", b"0"))),
        Sent("sessions-changelog", b"u:user-1", b"nonsense"),
        Sent("sessions-changelog", b"u:user-1", (2**62).to_bytes(8, "big") + b"nonsense"),
        Sent("sessions-changelog", b"\xff\xff", b"x"),
        Sent("sessions-changelog", b"u:user-2", None),
        Sent("items", b"mug", b"{no item"),
        Sent("items", b"\xff", b'{"item_id": "\xff"}'),
        Sent("items", b"mug", b"[" * 5000),
        Sent("recommendations", b"user-1", b"{no ranking"),
        Sent("recommendations", b"\xff", None),
        Sent("recommendations", b"user-1", _not_utf8(msgspec.json.encode(RANKING))),
        Sent("recommendations", b"__popular__", msgspec.json.encode(RANKING).replace(b'"rank":1', b'"rank":-1')),
        Sent("dead-letters", b"user-1", b"x", (("reason", b"\xff"), ("partition", b"9" * 5000))),
        Sent("learner", b"x", b"x"),
    ]


def send(settings: Settings, records: Sequence[Sent]) -> frozenset[Place]:
    """Send the records one by one, and return their places."""
    producer = KafkaProducer(bootstrap_servers=settings.broker, acks="all")
    places = []
    for record in records:
        key = record.key or (b"\x00" if record.value is None else None)  # kafka-python refuses to send nothing
        sent = producer.send(settings.topic(record.topic), record.value, key, list(record.headers)).get(30)
        places.append((record.topic, sent.partition, sent.offset))
    producer.close()
    return frozenset(places)
