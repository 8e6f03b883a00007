"""Nothing that arrives on a topic ends or blocks a process, whatever bytes it has.

A damaged record goes through the function that the consumer of its topic calls. It is accepted, or
it is refused: then it is counted once, and changes nothing. The next valid record is accepted.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.damage.mutations import damaged
from support.inputs.table import INPUTS, Input

from streams.kafka.topics import topic_specs
from streams.settings import Settings
from streams.wire.record import Record

BY_NAME = {entry.name: entry for entry in INPUTS}


def test_every_topic_has_a_test_that_damages_its_records() -> None:
    prefix = Settings().topic_prefix
    assert {entry.topic for entry in INPUTS} == {spec.name.removeprefix(prefix) for spec in topic_specs(Settings())}
    assert len(BY_NAME) == len(INPUTS)


async def read(entry: Input, records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        reader = entry.open(Path(folder))
        try:
            for record in records:
                before, refused = reader.state, reader.refused
                try:
                    await reader.take(record)
                except reader.handled:
                    return
                assert reader.refused - refused in (0, 1)
                if reader.refused > refused:
                    assert reader.state == before, "a refused record changes nothing"
            refused = reader.refused
            await reader.take(entry.valid)
            assert reader.refused == refused or entry.topic == "learner", "the next valid record is accepted"
        finally:
            reader.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_a_damaged_record_is_refused_and_the_next_one_is_accepted(name: str) -> None:
    entry = BY_NAME[name]

    @settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.lists(damaged(entry.valid, entry.tree, entry.encode), min_size=1, max_size=2))
    @example([entry.valid])
    def fuzz(records: list[Record]) -> None:
        asyncio.run(read(entry, records))

    fuzz()
