"""Writing items that are too large: for the workers, or for the topic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from serving.http.operations import Call
from serving.http.problems import Problem
from serving.http.routes.items import post_items, put_item
from serving.state.shelves import Shelves
from serving.state.turns import Turns
from serving.state.writer import NewRecord, TooLarge, Written
from streams.events.items import MAX_ITEM_BYTES, json_item, read_item
from streams.settings import Settings

LARGE = {"item_id": "big", "labels": {f"{n:03}" + "k" * 250: "é" * 1024 for n in range(64)}}
"""Every label is within its bounds, and all of them are more than workers accept."""


class Writer:
    """A writer to a topic that allows values of at most ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self._most, self.written = most, list[NewRecord]()

    async def write(self, records: Sequence[NewRecord]) -> list[Written | TooLarge]:
        fitting = [record for record in records if len(record.value or b"") <= self._most]
        self.written += fitting
        return [Written(0, 0, 0) if record in fitting else TooLarge() for record in records]


def call(writer: Writer, body: object, item_id: str = "big") -> Call:
    async def receive() -> Any:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def wait_for_item(*_: object) -> None: ...

    service: Any = SimpleNamespace(
        settings=Settings(), shelves=Shelves(), writer=writer, wait_for_item=wait_for_item, turns=Turns()
    )
    scope = {"type": "http", "method": "PUT", "headers": [(b"content-type", b"application/json")]}
    operation: Any = None
    return Call(service, operation, scope, receive, {"item_id": item_id}, None)


@pytest.mark.parametrize("most", [1_000_000, 1000])
async def test_an_item_that_is_too_large_is_refused_and_not_written(most: int) -> None:
    writer = Writer(most)
    small = {"item_id": "big", "item_name": "n" * 1020}
    with pytest.raises(Problem) as caught:
        await put_item(call(writer, LARGE if most > MAX_ITEM_BYTES else small))
    assert caught.value.status in (413, 422)
    assert writer.written == []


async def test_of_several_items_those_that_fit_are_written_and_the_others_named() -> None:
    writer = Writer(1000)
    answer = await post_items(call(writer, [{"item_id": "a"}, {"item_id": "b", "item_name": "n" * 1020}, {}, {"item_id": "c"}]))
    assert answer.status_code == 207
    document = json.loads(bytes(answer.body))
    assert (document["accepted"], document["refused"]) == (2, 2)
    assert [(error["position"], error["reason"]) for error in document["errors"]] == [(1, "too_large"), (2, "missing_field")]
    assert [record.key for record in writer.written] == [b"a", b"c"]


async def test_whatever_is_written_is_read_by_the_workers() -> None:
    writer = Writer(10**9)
    for labels in range(1, 64):
        item = {"item_id": "big", "labels": dict([*LARGE["labels"].items()][:labels])}  # type: ignore[attr-defined]
        with suppress(Problem):
            await put_item(call(writer, item))
    assert len(writer.written) in range(20, 63)
    for record in writer.written:
        assert read_item(json_item(record.value or b"")).dropped == {}
