"""Events from requests: checked as a worker does it, reported by position, written in order."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Sequence
from typing import cast

import pytest

from serving.http.bodies import MOST_RECORDS, split
from serving.http.documents import JSON, NDJSON
from serving.http.problems import Problem, all_rejected
from serving.state.ingest import Ingest
from serving.state.record_errors import record_error
from serving.state.telemetry import ServingTelemetry
from serving.state.turns import RECORDS_AT_ONCE, Turns
from serving.state.writer import NewRecord, TooLarge, Writer, Written
from streams.events.decode import BadRecord, EventDecoder
from streams.events.records import Event

NOW = 1_700_000_000.0


class Log:
    """A partition that accepts every record but large ones."""

    def __init__(self) -> None:
        self.records: list[NewRecord] = []

    async def write(self, records: Sequence[NewRecord]) -> list[Written | TooLarge]:
        results: list[Written | TooLarge] = []
        for record in records:
            if len(record.value or b"") > 1000:
                results.append(TooLarge())
                continue
            self.records.append(record)
            results.append(Written(3, len(self.records) - 1, int(NOW * 1000)))
        return results


def ingest_to(log: Log, decoder: EventDecoder | None = None, remember: int = 100) -> Ingest:
    return Ingest("events", decoder or EventDecoder(), cast(Writer, log), ServingTelemetry(), Turns(), lambda: NOW, remember)


def event(**fields: object) -> bytes:
    return json.dumps({"user_id": "ann", "item_id": "a"} | fields).encode()


async def test_good_events_are_written_unchanged_and_bad_ones_reported_by_position() -> None:
    log = Log()
    values = [
        event(event_id="e1"), b'{"user_id": "x"}', event(session_id="s", user_id=None), event(item_id=["i"]),
        event(event_type="hm"), event(timestamp=NOW + 999), b"null", b'{"a":', event(properties={"p": "x" * 2000}),
    ]  # fmt: skip
    accepted, errors = await ingest_to(log).accept(values)
    assert [(a.position, a.event.event_id, a.written.offset) for a in accepted] == [(0, "e1", 0), (2, "events-3-1", 1)]
    assert [record.value for record in log.records] == [values[0], values[2]]
    assert [record.key for record in log.records] == [b"ann", b"s"]
    assert [(error.position, error.reason, error.field) for error in errors] == [
        (1, "missing_field", "item_id"),
        (3, "wrong_type", "item_id"),
        (4, "unknown_event_type", "event_type"),
        (5, "timestamp_in_future", "timestamp"),
        (6, "not_an_object", None),
        (7, "invalid_json", None),
        (8, "too_large", None),
    ]


async def test_a_repeat_is_recognised_by_owner_session_and_id_until_the_user_is_deleted() -> None:
    log = Log()
    ingest = ingest_to(log)

    async def repeated(**fields: object) -> bool:
        ((one,), _) = await ingest.accept([event(**fields)])
        return one.repeated

    assert not await repeated(event_id="e")
    assert await repeated(event_id="e")
    assert not await repeated(event_id="e", session_id="s")
    assert not await repeated(event_id="e", user_id="bob")
    assert not await repeated()
    assert not await repeated()
    ingest.forget("ann")
    assert not await repeated(event_id="e")
    assert await repeated(event_id="e", user_id="bob")
    assert len(log.records) == 8, "a repeat is written too, because the worker decides"


async def test_the_event_ids_that_are_remembered_are_bounded() -> None:
    ingest = ingest_to(Log(), remember=5)
    for number in range(9):
        ((one,), _) = await ingest.accept([event(event_id=str(number))])
        assert not one.repeated
        assert ingest.remembered == min(number + 1, 5)
    ((oldest, newest), _) = await ingest.accept([event(event_id="0"), event(event_id="8")])
    assert (oldest.repeated, newest.repeated) == (False, True)


async def test_the_field_mapping_of_the_settings_applies() -> None:
    log = Log()
    ingest = ingest_to(log, EventDecoder({"user_id": "uid", "item_id": "product.sku"}))
    value = b'{"uid": "ann", "product": {"sku": "a"}}'
    (accepted, errors) = await ingest.accept([value])
    assert (len(accepted), errors, log.records[0].value, log.records[0].key) == (1, [], value, b"ann")


@pytest.mark.parametrize(
    ("reason", "detail", "field"),
    [
        ("missing_field", "user_id or session_id", "user_id"),
        ("out_of_bounds", "item_id has 300 bytes of UTF-8, at most 256", "item_id"),
        ("too_deep", "context nests deeper than 16", "context"),
        ("unknown_event_type", "item_id", "event_type"),
        ("invalid_json", "JSON is malformed", None),
    ],
)
def test_the_field_of_an_error(reason: str, detail: str, field: str | None) -> None:
    assert record_error(0, BadRecord(reason, detail), Event.__struct_fields__).field == field


def test_bodies_are_split_without_decoding_the_records() -> None:
    assert split(b' {"a": 1} ', JSON) == ([b' {"a": 1} '], True)
    assert split(b'[{"a": 1}, 7]', JSON) == ([b'{"a": 1}', b"7"], False)
    assert split(b'{"a": 1}\n\n {"b"\r\n', NDJSON) == ([b'{"a": 1}', b'{"b"\r'], False)
    assert len(split(b"[" + b"{}," * (MOST_RECORDS - 1) + b"{}]", JSON).records) == MOST_RECORDS


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"", NDJSON, 400),
        (b"\n \n", NDJSON, 400),
        (b"[]", JSON, 400),
        (b"[", JSON, 400),
        (b"[NaN]", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"[" * 100_000 + b"]" * 100_000, JSON, 400),
        (b"[" + b"{}," * MOST_RECORDS + b"{}]", JSON, 413),
        (b"{}\n" * (MOST_RECORDS + 1), NDJSON, 413),
    ],
)
def test_bad_bodies(body: bytes, media: str, status: int) -> None:
    with pytest.raises(Problem) as caught:
        split(body, media)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"[" + b"1," * 499_998 + b"1]", JSON),
        (b"[" + b"{}," * 333_331 + b"{}]", JSON),
        (b"\n" * 999_999, NDJSON),
        (b"1\n" * 499_999, NDJSON),
    ],
    ids=["numbers", "objects", "blank lines", "lines"],
)
def test_a_megabyte_of_tiny_records_makes_no_more_objects_than_a_body_may_have(body: bytes, media: str) -> None:
    """Half a million objects stall the other requests for 100 ms."""
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            split(body, media)
        assert tracemalloc.get_traced_memory()[1] < 300_000 + len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [b"null", event(event_id="e")], ids=["bad", "good"])
async def test_other_requests_run_during_a_large_one(value: bytes) -> None:
    ran = 0

    async def others() -> None:
        nonlocal ran
        while True:
            ran += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(others())
    await ingest_to(Log()).accept([value] * MOST_RECORDS)
    other.cancel()
    assert ran >= 20


async def test_of_many_large_requests_one_part_runs_in_each_pass_of_the_loop() -> None:
    turns, passes, parts = Turns(), 0, 0

    async def count() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    async def large() -> None:
        nonlocal parts
        for position in range(100):
            await turns.pause_at(position)
            parts += position % RECORDS_AT_ONCE == 0

    counting = asyncio.ensure_future(count())
    await asyncio.gather(*(large() for _ in range(10)))
    counting.cancel()
    assert parts == 50
    assert passes >= 40, "the first parts of all ran at once, the others one by one"


def test_a_body_of_one_record_that_is_not_json_is_malformed() -> None:
    bad = [record_error(0, BadRecord("invalid_json", "x"), ())]
    assert all_rejected(bad, one=True).status == 400
    assert all_rejected(bad, one=False).status == 422
    problem = all_rejected([record_error(0, BadRecord("missing_field", "item_id"), ("item_id",))], one=True)
    assert (problem.status, problem.details.field) == (422, "item_id")
