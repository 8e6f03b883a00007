"""What other workers write into the changelog, and positions beyond the end of a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.delivery.foreign import ChangelogCustody, ChangelogReplaced, answers, gaps
from streams.delivery.publisher import Placed
from streams.kafka.outbox import Outbox
from streams.kafka.positions import PositionAhead, refuse_ahead
from streams.sessions.store import WATERMARK, Changes, changelog, watermark_value


def test_what_lies_between_our_batches_is_a_gap() -> None:
    assert gaps(4, [range(5, 7), range(7, 9)]) == []
    assert gaps(4, [range(6, 7), range(9, 10)]) == [range(5, 6), range(7, 9)]
    assert gaps(-1, [range(0, 1)]) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1), st.integers(-1, 5))
def test_gaps_and_batches_cover_the_log_once(pieces: list[tuple[int, int]], known: int) -> None:
    at, batches = known + 1, list[range]()
    for skipped, count in pieces:
        batches.append(range(at + skipped, at + skipped + count))
        at = batches[-1].stop
    covered = sorted(offset for offsets in (*gaps(known, batches), *batches) for offset in offsets)
    assert covered == list(range(known + 1, at))


def test_a_changelog_that_ends_before_the_known_offset_is_refused() -> None:
    with pytest.raises(ChangelogReplaced, match="created again"):
        gaps(9, [range(0, 3)])


def record(key: bytes | None, value: bytes | None = b"") -> Any:
    return SimpleNamespace(key=key, value=value, headers=[])


def test_the_owner_answers_with_its_own_values_and_removes_what_it_does_not_have() -> None:
    stored = {b"u:a": b"stored"}
    changes = Changes(watermark=7, states={b"u:b": b"new"}, removals={b"u:c": 7})
    foreign = [record(key) for key in (b"u:a", b"u:b", b"u:a", b"u:c", b"u:d", WATERMARK, None)]
    answered = [(key, value, dict(headers)) for key, value, headers in answers(foreign, changes, stored.get)]
    assert answered == [
        (b"u:a", b"stored", {}),
        (b"u:b", b"new", {}),
        (b"u:c", None, {"offset": b"7"}),
        (b"u:d", None, {"offset": b"7"}),
        (WATERMARK, watermark_value(7), {}),
    ]
    assert answers([], changes, stored.get) == []


class Log:
    """A changelog partition: its records by offset. Delivery appends to it."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.records = list(records)
        self.intrude: Callable[[], None] = lambda: None

    async def publish(self, outbox: Outbox, generation: int) -> Placed:
        self.intrude()
        first = len(self.records)
        for key, value, headers in outbox["changelog", 0]:
            self.records.append(SimpleNamespace(key=key, value=value, headers=headers))
        return {("changelog", 0): [range(first, len(self.records))]}

    async def read(self, partition: int, offsets: range) -> Sequence[Any]:
        return [self.records[offset] for offset in offsets]


async def test_a_zombies_write_is_answered_before_anything_is_stored() -> None:
    log, counted = Log([record(b"u:a", b"first")]), list[int]()
    store: Any = SimpleNamespace(changelog_offset=lambda _: 0, get=lambda _, key: {b"u:a": b"first"}.get(key))
    custody = ChangelogCustody(log, store, log.read, "changelog", counted.append)
    changes = Changes(watermark=5, states={b"u:b": b"ours"})
    log.records.append(record(b"u:a", b"zombie"))
    intruders = [record(b"u:z", b"zombie, again")]
    placed = await log.publish(changelog("changelog", {0: changes}), 1)
    log.intrude = lambda: log.records.extend(intruders[:1]) or intruders.clear()  # type: ignore[func-returns-value]
    assert await custody.settle(placed, {0: changes}, 1) == {0: len(log.records) - 1}
    last = {record.key: record.value for record in log.records}
    assert last == {b"u:a": b"first", b"u:b": b"ours", b"u:z": None, WATERMARK: watermark_value(5)}
    assert counted == [1, 1]


async def test_a_changelog_without_gaps_gets_no_answers() -> None:
    log = Log([])
    store: Any = SimpleNamespace(changelog_offset=lambda _: 3)
    custody = ChangelogCustody(log, store, log.read, "changelog", lambda _: None)
    assert await custody.settle({("changelog", 0): [range(4, 6)]}, {0: Changes(1)}, 1) == {0: 5}
    assert log.records == []


def test_a_position_beyond_the_end_is_refused_and_names_the_way_out() -> None:
    tp = TP("events", 2)
    refuse_ahead({tp: 5}, {tp: 5})
    refuse_ahead({tp: 0}, {tp: None})
    with pytest.raises(PositionAhead, match="ouzel reset"):
        refuse_ahead({tp: 6}, {tp: 5})
