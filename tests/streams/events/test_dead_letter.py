"""A dead letter keeps what decoding reads, so a record that is sent again is read as the first."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.events.bounds import BadRecord
from streams.events.dead_letter import (
    HEADERS_BYTES,
    OWN_BYTES,
    REDRIVEN_ID,
    REDRIVEN_TIMESTAMP,
    as_first,
    dead_letter,
    read_letter,
    redriven_headers,
)
from streams.kafka.outbox import Outgoing
from streams.wire.record import Record

AT = 1_790_000_000_123
BATCH_OVERHEAD = 100
"""More than what Kafka adds to a batch of one record."""
BAD = BadRecord("missing_field", "item_id")
names = st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda name: not name.startswith("ouzel-redriven"))
many_headers = st.lists(st.tuples(names, st.binary(max_size=50)), max_size=8).map(tuple)


def record(offset: int = 7, headers: tuple[tuple[str, bytes], ...] = (), value: bytes = b"{}", at: int = AT) -> Record:
    return Record("shop.events", 2, offset, at, b"ann", value, headers)


def in_topic(letter: Outgoing, offset: int = 0) -> Record:
    """The letter as it is read from its topic, written a while after its record."""
    key, value, headers = letter
    return Record("shop.dead-letters", 2, offset, AT + 5000, key, value, tuple(headers))


def sent_again(letter: Record, offset: int) -> Record:
    """The record that a redrive of the letter writes, days later."""
    return record(offset, tuple(redriven_headers(read_letter(letter))), letter.value or b"", AT + 300_000_000)


@given(many_headers)
def test_a_record_that_is_sent_again_has_its_first_headers_time_and_id(headers: tuple[tuple[str, bytes], ...]) -> None:
    first = record(headers=headers)
    again = sent_again(in_topic(dead_letter(first, BAD, 900_000)), offset=90)
    assert as_first(again) == (record(90, headers), "shop.events-2-7")


def test_a_record_that_is_sent_again_in_vain_keeps_its_first_place_and_has_a_place_of_its_own() -> None:
    first = in_topic(dead_letter(record(headers=(("type", b"click"),)), BAD, 900_000))
    as_it_was, first_id = as_first(sent_again(first, offset=90))
    second = in_topic(dead_letter(as_it_was, BAD, 900_000, first_id))
    assert read_letter(second).place == "shop.events-2-90"
    assert read_letter(second).name != read_letter(first).name
    assert as_first(sent_again(second, offset=91)) == (record(91, (("type", b"click"),)), "shop.events-2-7")


def test_headers_beyond_the_limit_are_left_out_and_their_length_is_recorded() -> None:
    headers = (("a", b"1"), ("huge", b"x" * HEADERS_BYTES), ("b", b"2"))
    letter = in_topic(dead_letter(record(headers=headers), BAD, 900_000))
    fields = dict(letter.headers)
    assert fields["original.a"] == b"1"
    assert "original.huge" not in fields
    assert int(fields["headers_length"]) > HEADERS_BYTES
    assert sum(len(name) + len(value) for name, value in letter.headers) < HEADERS_BYTES + 2000
    assert not read_letter(letter).whole


def test_a_long_record_is_cut_and_says_so() -> None:
    letter = in_topic(dead_letter(record(value=b"x" * 10_000), BAD, OWN_BYTES + 100))
    assert letter.value == b"x" * 50
    assert dict(letter.headers)["value_length"] == b"10000"
    assert not read_letter(letter).whole


@given(st.integers(0, 1_000_000), st.integers(0, 1_000_000), st.integers(0, 100_000), st.text(max_size=400))
@example(449_000, 449_000, 64_000, "")
def test_no_letter_is_larger_than_its_topic_accepts(key: int, value: int, header: int, detail: str) -> None:
    first = Record("t" * 249, 99_999, 2**53, AT, b"k" * key, b"v" * value, (("a", b"h" * header), ("b", b"1")))
    kept_key, kept_value, headers = dead_letter(
        first, BadRecord("missing_field", detail), 900_000, "t" * 249 + "-99999-999999999999"
    )
    size = len(kept_key or b"") + len(kept_value or b"") + sum(len(name.encode()) + len(one) + 10 for name, one in headers)
    assert size <= 900_000 - BATCH_OVERHEAD
    assert read_letter(in_topic((kept_key, kept_value, headers))).whole == (
        kept_key == first.key and kept_value == first.value and len(headers) == 9
    )


def test_a_letter_of_an_earlier_version_is_sent_again_with_its_own_time_and_the_place_that_it_names() -> None:
    old = Record("shop.dead-letters", 2, 0, AT, b"ann", b"{}", (("topic", b"shop.events"), ("partition", b"2"), ("offset", b"7")))
    assert as_first(sent_again(old, offset=90)) == (record(90), "shop.events-2-7")


def test_a_stray_record_in_the_topic_is_a_letter_without_a_first_place() -> None:
    stray = Record("shop.dead-letters", 2, 5, AT, b"ann", b"{}", (("reason", b"x"), ("partition", b"\xff"), ("offset", b"-1")))
    letter = read_letter(stray)
    assert (letter.id, letter.partition, letter.place) == ("", None, "shop.dead-letters-2-5")
    assert as_first(sent_again(stray, offset=90)) == (record(90), None)


@pytest.mark.parametrize(
    "header", [(REDRIVEN_ID, b"x" * 10_000), (REDRIVEN_ID, b"\xff"), (REDRIVEN_TIMESTAMP, b"-1"), (REDRIVEN_TIMESTAMP, b"1" * 40)]
)
def test_a_forged_header_changes_nothing(header: tuple[str, bytes]) -> None:
    assert as_first(record(headers=(("a", b"1"), header))) == (record(headers=(("a", b"1"),)), None)


def test_any_other_record_stays_the_same_object() -> None:
    plain = record(headers=(("a", b"1"),))
    assert as_first(plain)[0] is plain
    assert as_first(plain)[1] is None
