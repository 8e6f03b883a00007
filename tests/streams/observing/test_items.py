"""Records of the items topic that are refused or read in part are counted and logged."""

from __future__ import annotations

from collections import Counter

from structlog.testing import capture_logs

from streams.events.catalogue import Catalogue
from streams.events.records import Item
from streams.observing.items import FIELD_VALUES, ItemReader
from streams.wire.record import Record


def record(offset: int, key: bytes | None, value: bytes | None) -> Record:
    return Record("ouzel.items", 1, offset, 0, key, value, ())


def test_a_refused_item_is_logged_with_its_place_its_id_and_the_field() -> None:
    refused: list[str] = []
    catalogue = Catalogue()
    reader = ItemReader(catalogue, refused.append, lambda field, count: None)
    with capture_logs() as lines:
        reader.take(
            [record(40, b"mug", b"{"), record(41, b'"cup"', b'{"item_id": ""}'), record(42, None, b"{}"), record(43, b"a", b"{}")]
        )
    place = {"event": "bad_item", "log_level": "warning", "topic": "ouzel.items", "partition": 1}
    malformed, empty, missing = lines
    assert malformed.pop("detail")
    assert malformed == place | {"offset": 40, "item_id": "mug", "field": None, "reason": "invalid_json"}
    assert empty == place | {
        "offset": 41, "item_id": "cup", "field": "item_id", "reason": "out_of_bounds", "detail": "item_id is empty",
    }  # fmt: skip
    assert missing == place | {"offset": 42, "item_id": None, "field": "item_id", "reason": "missing_field", "detail": "item_id"}
    assert refused == ["invalid_json", "out_of_bounds", "missing_field"]
    assert catalogue.get("a") is not None, "later records are applied"


def test_dropped_fields_are_counted_and_logged_once_for_each_field_of_a_batch() -> None:
    dropped: Counter[str] = Counter()
    reader = ItemReader(Catalogue(), lambda reason: None, lambda field, count: dropped.update({field: count}))
    values = [b'{"id": "a%d", "price": "cheap", "is_hidden": "maybe"}' % number for number in range(9)]
    with capture_logs() as lines:
        reader.take([record(7, b"mug", b'{"item_id": "mug"}'), *(record(8 + n, None, value) for n, value in enumerate(values))])
        reader.take([record(17, b"row-1", b'{"item_id": "mug"}')])
    assert dropped == {"price": 9, "is_hidden": 9, "key": 1}
    assert [(line["event"], line["field"], line["items"], line["item_id"], line["offset"]) for line in lines] == [
        ("item_field_dropped", "price", 9, "a0", 8),
        ("item_field_dropped", "is_hidden", 9, "a0", 8),
        ("item_field_dropped", "key", 1, "mug", 17),
    ]
    assert lines[0]["detail"] == "price is 'cheap', which is not a number"


def test_every_field_that_may_be_dropped_is_documented() -> None:
    for name in (*Item.__struct_fields__, "properties", "key"):
        assert (f"`{name}`" in FIELD_VALUES) == (name != "item_id")
