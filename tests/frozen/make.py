"""Writes a session, a deletion marker and a snapshot in the stored formats of this version.

Run it once for each version of a format. The files of earlier versions stay, and every later
version must read them.
"""

from __future__ import annotations

import json
from pathlib import Path

from support.models_streams import learned, ring

from models.registry import build
from models.snapshot import take
from streams.events.records import Event
from streams.learning.model_log import to_records
from streams.sessions.deletion import pack_marker
from streams.sessions.step import Limits, Source, State, pack, step

HERE = Path(__file__).parent


def session() -> bytes:
    """A packed state after a view, a purchase, a dislike, and a view in a second session."""
    state = State()
    for number, (item, kind, name) in enumerate(
        [("a", "view", None), ("b", "purchase", None), ("c", "dislike", None), ("d", "view", "phone")]
    ):
        event = Event(
            event_id=f"e{number}", item_id=item, timestamp=1_700_000_000_000 + number, user_id="ann", session_id=name,
            event_type=kind,
        )  # fmt: skip
        step(state, event, Source(0, number, 1_700_000_000_500), Limits(1_800_000, 1_800_000))
    return pack(state, 3)


def snapshot() -> list[bytes]:
    """The records of a small model's snapshot, each as a line of JSON headers and the value."""
    model = build("hybrid", 1, encoder="recency", profile="fast", max_items=300)
    model.warmup()
    learned(model, ring(96, items=12))
    data = take("hybrid", model)
    chunks, manifest = to_records(data, "frozen", transitions_offset=96, epoch=7, steps=model.steps, created_at=1_700_000_000_000)
    return [
        json.dumps({name: text.decode() for name, text in headers}).encode() + b"\n" + (value or b"")
        for _, value, headers in (*chunks, manifest)
    ]


if __name__ == "__main__":
    (HERE / "session-v1.bin").write_bytes(session())
    (HERE / "marker-v1.bin").write_bytes(pack_marker(1_700_000_000_000, 9))
    for number, record in enumerate(snapshot()):
        (HERE / f"snapshot-v1-{number}.bin").write_bytes(record)
