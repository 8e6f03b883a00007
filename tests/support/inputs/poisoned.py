"""Records, snapshots and titles whose every text would control a terminal."""

from __future__ import annotations

from typing import Any

from support.processes.pty_output import ENCODABLE

from streams.events.catalogue import Catalogue
from streams.events.records import RankedItem, Recommendation
from streams.learning.model_log import Manifest, Stored
from streams.wire.record import Record


def letter() -> Record:
    """A dead letter with poison in everything."""
    headers = tuple((name, ENCODABLE.encode()) for name in ("reason", "topic", "partition", "offset", "detail", ENCODABLE))
    return Record("dead-letters", 0, 7, 0, ENCODABLE.encode() + b"\xff\x9b", ENCODABLE.encode() + b"\xff\x9b", headers)


def recommendation() -> Recommendation:
    item = RankedItem(ENCODABLE, 0.5, 1, ENCODABLE, ENCODABLE)
    return Recommendation(
        recommendation_id=ENCODABLE, user_id=ENCODABLE, session_id=ENCODABLE, generated_at=1_790_000_000_000,
        trigger_event_id=ENCODABLE, trigger_offset=1, model_version=3, strategy=ENCODABLE, prefix=[ENCODABLE, "mug"],
        items=[item], took_ms=1.5,
    )  # fmt: skip


class Consumer(list[Any]):
    """A consumer that has polled everything already."""

    def close(self) -> None: ...


class Items(Catalogue):
    """A catalogue in which every title is poison."""

    def name(self, item_id: str) -> str:
        return ENCODABLE


def stored() -> Stored:
    """A snapshot whose chunks are missing."""
    manifest = Manifest(
        format=ENCODABLE, snapshot=ENCODABLE, chunks=1, bytes=1, sha256=ENCODABLE, transitions_offset=1, epoch=1, steps=1,
        created_at=1,
    )  # fmt: skip
    return Stored(manifest, {}, 0, 1)
