"""A valid record of every topic, with its decoded value, for the tests that damage it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from models.registry import build
from models.snapshot import take
from streams.events.records import Interaction, RankedItem, Recommendation, Transition
from streams.learning.model_log import to_records as snapshot_records
from streams.learning.model_updates import to_records as update_records
from streams.sessions.step import Session, State
from streams.settings import Settings
from streams.wire.record import Record

NOW = 1_790_000_000_000
SETTINGS = Settings(metrics_port=0, model="markov", max_items=256)
HYBRID = {"encoder": "recency", "profile": "fast", "max_items": 64}


def record(topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
    """A record with this content, somewhere in its topic."""
    return Record(topic, 0, 40, NOW, key, value, tuple(headers))


def as_json(value: Any) -> Any:
    """The value as JSON decodes it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def as_msgpack(value: bytes) -> Any:
    """MessagePack, decoded."""
    return msgspec.msgpack.decode(value)


EVENT = {
    "user_id": "ann", "item_id": "mug", "timestamp": NOW, "event_type": "view", "event_id": "e1", "price": 2.5,
    "context": {"a": [1]},
}  # fmt: skip


ITEM = {
    "item_id": "mug", "item_name": "Blue mug", "categories": ["cups"], "brand": "b", "price": 2.5, "currency": "EUR",
    "is_hidden": False, "created_at": NOW, "labels": {"size": "L"},
}  # fmt: skip


TRANSITION = Transition(
    source_partition=0, source_offset=9, prefix=[Interaction("mug", NOW - 5, "view"), Interaction("pot", NOW - 3, "view")],
    prefix_length=2, unique_items=2, item_id="cup", event_type="view", weight=1.0, timestamp=NOW,
)  # fmt: skip


RANKING = Recommendation(
    recommendation_id="events-0-9", user_id="ann", session_id=None, generated_at=NOW, trigger_event_id="e", trigger_offset=9,
    model_version=7, strategy="hybrid", prefix=["mug"], items=[RankedItem("cup", 2.0, 1, "markov", "mug")],
    took_ms=1.5,
)  # fmt: skip


SESSION = State(
    seen_at=NOW,
    sessions=[
        Session("s", 3, NOW, NOW, 2, [Interaction("mug", NOW, "view"), Interaction("cup", NOW, "click")], ["pot"], [2**64 - 1])
    ],
)


def update(model: str = "m", epoch: int = 3) -> bytes:
    """The parameters of a small model, of a learner of this epoch."""
    parameters, _ = build("hybrid", 1, **HYBRID).changes(0)
    value = update_records(parameters, model, epoch, 7)[0][1]
    assert value is not None
    return value


def _snapshot(name: str, offset: int) -> Any:
    data = take("markov", build("markov", 0, max_items=256))
    return snapshot_records(data, name, transitions_offset=offset, epoch=1, steps=3, created_at=NOW)


INTACT, NEWER = _snapshot("intact", 5), _snapshot("newer", 8)
"""The chunks and the manifests of two snapshots, of which the second is further in the log."""
