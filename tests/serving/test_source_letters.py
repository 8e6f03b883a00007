"""What a redrive sends: a record of `events` as it was, and of a source its events."""

from __future__ import annotations

import msgspec

from serving.source_letters import SourceLetters
from streams.events.bounds import BadRecord
from streams.events.dead_letter import dead_letter
from streams.events.decode import CANONICAL
from streams.events.records import Event
from streams.settings import Settings
from streams.wire.record import Record

AT = 1_790_000_000_000
VALUE = b'{"user_id": "ann", "article": "mug"}'


def letter(topic: str) -> Record:
    first = Record(topic, 9, 3, AT, b"key", VALUE, (("trace", b"1"),))
    key, value, headers = dead_letter(first, BadRecord("missing_field", "item_id"), 900_000)
    return Record("ouzel.dead-letters", 1, 0, AT + 5, key, value, tuple(headers))


def letters(**options: object) -> SourceLetters:
    return SourceLetters(Settings(intake=[{"topic": "orders", **options}]))


def test_a_letter_of_events_is_sent_as_it_was() -> None:
    ((topic, key, value, headers, partition, at),) = letters().again(letter("ouzel.events")) or ()
    assert (topic, key, value, partition, at) == ("ouzel.events", b"key", VALUE, 9, None)
    assert ("trace", b"1") in headers


def test_a_letter_of_a_source_is_read_by_its_rules_and_its_events_are_sent() -> None:
    sent = letters(field_mapping={"item_id": "article"}, event_type="purchase").again(letter("orders"))
    ((topic, key, value, headers, partition, at),) = sent or ()
    assert (topic, key, at) == ("ouzel.events", b"ann", AT)
    assert CANONICAL in headers
    assert partition is None, "the key decides, by the number of partitions that there is"
    assert msgspec.json.decode(value or b"", type=Event) == Event(
        event_id="orders-9-3", item_id="mug", user_id="ann", timestamp=AT, event_type="purchase"
    )


def test_what_cannot_be_sent_is_said_by_topic_and_reason() -> None:
    still, unknown = letters(), letters()
    assert still.again(letter("orders")) is None
    assert list(still.problems()) == ["1 of topic orders are not sent: they are still invalid (missing_field)"]
    assert unknown.again(letter("carts")) is None
    assert list(unknown.problems()) == ["1 cannot be sent again: they are of topic carts, which OUZEL_INTAKE does not name"]


def test_an_event_that_is_ignored_now_needs_no_record() -> None:
    made = letters(field_mapping={"item_id": "article", "event_type": "user_id"}, event_types={"ann": None})
    assert made.again(letter("orders")) == []
    assert list(made.problems()) == []
