"""Every later version reads what version 1 wrote: sessions, markers and snapshots.

Their bytes are in tests/frozen.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import msgspec
from support.models_streams import learned, recall, ring

from models.recommender import Query
from models.snapshot import read_header, restore
from streams.learning.snapshot_log import SnapshotLog
from streams.sessions.changelog import ours, source_offset
from streams.sessions.deletion import deleted_at
from streams.sessions.step import unpack

FROZEN = Path(__file__).parents[1] / "frozen"


def test_a_session_of_version_1_is_read() -> None:
    value = (FROZEN / "session-v1.bin").read_bytes()
    record = SimpleNamespace(key=b"u:ann", value=value, headers=[])
    assert ours(record)
    assert source_offset(record) == 3
    state = unpack(value)
    phone, first = state.sessions
    assert (state.version, state.seen_at) == (1, 1_700_000_000_500)
    assert (phone.session_id, [i.item_id for i in phone.prefix]) == ("phone", ["d"])
    assert [(i.item_id, i.event_type) for i in first.prefix] == [("a", "view"), ("b", "purchase")]
    assert (first.suppressed, first.length, first.first_offset, len(first.recent_event_ids)) == (["c"], 2, 0, 3)


def test_a_marker_of_version_1_is_read() -> None:
    value = (FROZEN / "marker-v1.bin").read_bytes()
    assert (deleted_at(value), int.from_bytes(value[:8], "big")) == (1_700_000_000_000, 9)


def test_a_snapshot_of_version_1_is_read_and_its_model_learns_on() -> None:
    snapshots = SnapshotLog()
    for offset, path in enumerate(sorted(FROZEN.glob("snapshot-v1-*.bin"), key=lambda path: int(path.stem.rpartition("-")[2]))):
        headers, _, value = path.read_bytes().partition(b"\n")
        named = [(name, text.encode()) for name, text in json.loads(headers).items()]
        snapshots.add(SimpleNamespace(offset=offset, value=value, headers=named))
    (stored,) = snapshots.newest_first()
    assert msgspec.structs.asdict(stored.manifest) | {
        "version": 1, "transitions_offset": 96, "epoch": 7, "created_at": 1_700_000_000_000,
    } == msgspec.structs.asdict(stored.manifest)  # fmt: skip
    data = stored.load()
    assert (read_header(data).version, read_header(data).model) == (1, "hybrid")
    model = restore(data)
    assert (dict(model.position), model.steps, model.vocabulary_size) == ({0: 95}, stored.manifest.steps, 12)
    (ranking,) = model.rank([Query(["i3", "i4"])], 5)
    assert "i5" in ranking.items
    more = ring(400, seed=1, first=96, items=12)
    assert recall(learned(model, more), more) > 0.6
