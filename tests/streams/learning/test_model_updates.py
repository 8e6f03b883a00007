"""Parameters as records: they are read back equal, and nothing else is ever applied."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recommender import Parameters
from streams.learning.model_updates import RECORD_BYTES, UpdateRefused, from_record, to_records
from streams.learning.updates import Updates
from streams.observing.telemetry import Telemetry
from streams.wire.record import Record

MODEL = '["hybrid", {}]'


def parameters(count: int = 3, steps: int = 7) -> Parameters:
    rows = np.arange(count * 65, dtype=np.float32).reshape(count, 65)
    return Parameters(steps, 1, [f"i{n}" for n in range(count)], rows, {"gate": np.ones(5, np.float32)})


def test_parameters_are_read_back_from_records_that_any_topic_accepts() -> None:
    sent = parameters(5000)
    records = to_records(sent, MODEL, epoch=4, offset=99)
    assert len(records) > 3
    assert max(len(value or b"") for _, value, _ in records) < RECORD_BYTES + 1000
    decoded = [from_record(value, MODEL) for _, value, _ in records]
    assert {(update.epoch, update.offset, part.steps, part.drifts) for update, part in decoded} == {(4, 99, 7, 1)}
    assert [item for _, part in decoded for item in part.items] == sent.items
    assert np.array_equal(np.concatenate([part.rows for _, part in decoded[1:]]), sent.rows)
    assert np.array_equal(decoded[0][1].blocks["gate"], sent.blocks["gate"])


@given(st.binary(max_size=300) | st.none())
def test_bytes_that_are_not_an_update_are_refused(value: bytes | None) -> None:
    with pytest.raises(UpdateRefused):
        from_record(value, MODEL)


def test_an_update_that_does_not_fit_this_model_is_refused() -> None:
    ((_, value, _), *_) = to_records(parameters(), MODEL, 1, 1)
    with pytest.raises(UpdateRefused, match="another model"):
        from_record(value, '["hybrid", {"encoder": "gru"}]')
    bad = parameters()
    bad.rows[1, 3] = np.nan
    with pytest.raises(UpdateRefused, match="not finite"):
        from_record(to_records(bad, MODEL, 1, 1)[1][1], MODEL)
    fields = msgspec.msgpack.decode(cast(bytes, value))
    fields[0] = 2
    with pytest.raises(UpdateRefused, match="version 2"):
        from_record(msgspec.msgpack.encode(fields), MODEL)
    fields[0], fields[6], fields[7] = 1, ["a", "b"], b"123456789012"
    with pytest.raises(UpdateRefused):
        from_record(msgspec.msgpack.encode(fields), MODEL)


class FakeReplica:
    """A replica that keeps the steps of the parameters it takes."""

    def __init__(self, seen: int, epoch: int = 0) -> None:
        self.epoch = epoch
        self.taken: list[int] = []
        self.reader = SimpleNamespace(seen=seen, follower=SimpleNamespace(caught_up=asyncio.Event(), lag=5))

    async def take(self, parameters: Parameters) -> None:
        if parameters.blocks:
            self.taken.append(parameters.steps)


def records(epoch: int, offset: int, steps: int) -> list[Record]:
    sent = to_records(parameters(steps=steps), MODEL, epoch, offset)
    return [Record("t", 0, n, 1000, key, value, ()) for n, (key, value, _) in enumerate(sent)]


def updates(replica: FakeReplica) -> tuple[Updates, Telemetry]:
    telemetry = Telemetry()
    return Updates("t", {}, cast(Any, replica), telemetry, MODEL), telemetry


async def test_updates_of_a_lower_epoch_are_ignored() -> None:
    replica = FakeReplica(seen=100, epoch=3)
    reader, telemetry = updates(replica)
    await reader.apply([*records(3, 10, 1), *records(2, 90, 9), *records(5, 11, 2), *records(4, 95, 9), *records(5, 12, 3)])
    assert replica.taken == [1, 2, 3]
    assert telemetry.model.ignored_updates._value.get() == 4


async def test_an_update_waits_until_its_items_are_known() -> None:
    replica = FakeReplica(seen=10)
    reader, _ = updates(replica)
    applying = asyncio.ensure_future(reader.apply(records(1, 20, 1)))
    await asyncio.sleep(0.05)
    assert replica.taken == []
    replica.reader.seen = 20
    await asyncio.wait_for(applying, 5)
    assert replica.taken == [1]
    replica.reader.follower.caught_up.set()
    replica.reader.follower.lag = 0
    await asyncio.wait_for(reader.apply(records(1, 30, 2)), 5)
    assert replica.taken == [1, 2], "a recreated log is shorter: there is nothing to wait for"


async def test_refused_records_are_counted() -> None:
    replica = FakeReplica(seen=20)
    reader, telemetry = updates(replica)
    await reader.apply([*records(1, 20, 1), Record("t", 0, 9, 0, None, b"junk", ())])
    assert replica.taken == [1]
    assert telemetry.model.refused_updates._value.get() == 1


async def test_an_epoch_that_no_learner_can_have_is_refused_and_the_next_learner_is_believed() -> None:
    """Believed once, it would be the least epoch of every later learner, whose own are bounded."""
    replica = FakeReplica(seen=100, epoch=3)
    reader, telemetry = updates(replica)
    await reader.apply([*records(2**62, 10, 9), *records(4, 11, 1), *records(4 + 2**31, 12, 2)])
    assert replica.taken == [1, 2]
    assert telemetry.model.refused_updates._value.get() == 2
    assert replica.epoch == 4 + 2**31
