"""Dead letters: what they keep of an invalid record, and how it is sent again. Pure.

A letter keeps all that decoding reads of its record, and the record's first place. The worker reads
a record that was sent again as it would have read it there: with the first headers, the first Kafka
time and the event id of the first place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from streams.events.bounds import BadRecord
from streams.kafka.outbox import Headers, Outgoing
from streams.wire.record import KafkaRecord, Record
from streams.wire.unreadable import REASON, unreadable

DETAIL_BYTES = 1000
"""Maximum length of the header `detail`."""
HEADERS_BYTES = 64_000
"""Maximum length of the original headers in a letter."""
OWN_BYTES = 4000
"""What a letter takes at most besides the key, the value and the headers of its record."""
HEADER_OVERHEAD = 10
"""Bytes that a header takes besides its name and value, at most."""
ORIGINAL = "original."
"""Prefix of the original headers' names in a letter."""
REDRIVEN = "ouzel-redriven"
"""Prefix of the names of the headers that only a record that was sent again has."""
REDRIVEN_ID, REDRIVEN_TIMESTAMP = f"{REDRIVEN}-id", f"{REDRIVEN}-timestamp"
CUT = ("key_length", "value_length", "headers_length")
"""Headers of a letter whose record was cut: the full length in bytes."""

_is_id = re.compile(rb"[A-Za-z0-9._-]{1,249}-[0-9]{1,9}-[0-9]{1,18}").fullmatch
_is_time = re.compile(rb"[0-9]{1,15}").fullmatch


class Letter(NamedTuple):
    """What a dead letter says about its record.

    ``place`` is the topic, partition and offset of the record. If the record had been sent again,
    ``id`` is the place of the first one; it is empty if the letter does not say. ``timestamp`` is
    the Kafka time of the first one, in epoch ms, and ``headers`` are its headers. ``whole`` says
    whether nothing of the record was cut.
    """

    place: str
    id: str
    topic: str | None
    partition: int | None
    timestamp: int
    headers: Headers
    whole: bool

    @property
    def name(self) -> str:
        """A name that no other record has, even if the topic is deleted and created again."""
        return f"{self.place}@{self.timestamp}"


def check_readable(record: KafkaRecord) -> None:
    """Raise `BadRecord` if the record stands in for a batch that could not be read."""
    if record.headers and (batch := unreadable(record)) is not None:
        raise BadRecord(REASON, f"offsets {batch.first} to {batch.last}: {batch.why}")


def dead_letter(record: KafkaRecord, bad: BadRecord, max_bytes: int, first_id: str | None = None) -> Outgoing:
    """Return the dead letter of a record. ``max_bytes`` is the size that its topic accepts.

    ``record`` and ``first_id`` are the result of `as_first`. A key or value longer than about half
    of ``max_bytes`` is cut, and so are headers of more than `HEADERS_BYTES`, or for which a long
    key and value leave no room; a header records the full length. The dead letter of a batch that
    could not be read has the bytes of the batch, the first of its offsets and, in the header
    ``last_offset``, the last one.
    """
    batch = unreadable(record)
    first = record.offset if batch is None else batch.first
    place = f"{record.topic}-{record.partition}-{first}"
    headers = [
        ("reason", bad.reason.encode()),
        ("detail", bad.detail.encode()[:DETAIL_BYTES]),
        ("topic", record.topic.encode()),
        ("partition", str(record.partition).encode()),
        ("offset", str(first).encode()),
        ("timestamp", str(record.timestamp).encode()),
        ("id", (first_id or place).encode()),
    ]
    if batch is not None:
        headers.append(("last_offset", str(batch.last).encode()))
    key, value, half = record.key, record.value, (max_bytes - OWN_BYTES) // 2
    if key is not None and len(key) > half:
        headers.append(("key_length", str(len(key)).encode()))
        key = key[:half]
    if value is not None and len(value) > half:
        headers.append(("value_length", str(len(value)).encode()))
        value = value[:half]
    room = max_bytes - OWN_BYTES - len(key or b"") - len(value or b"")
    headers += _kept(record.headers, min(room, HEADERS_BYTES))
    return key, value, headers


def _kept(originals: Sequence[tuple[str, bytes]], most: int) -> Headers:
    """Return the original headers under their names in a letter, of ``most`` bytes altogether."""
    kept, length = Headers(), 0
    for name, value in originals or ():
        length += len(name.encode()) + len(value or b"") + len(ORIGINAL) + HEADER_OVERHEAD
        if length <= most:
            kept.append((ORIGINAL + name, value))
    return [("headers_length", str(length).encode()), *kept] if length > most else kept


def read_letter(record: KafkaRecord) -> Letter:
    """Return what a dead letter says. A header that it lacks is taken from the letter itself.

    Letters of earlier versions have neither headers nor time of their record; their own time is a
    little later.
    """
    fields = {name: value or b"" for name, value in record.headers or () if not name.startswith(ORIGINAL)}
    place = b"-".join(fields.get(name, b"") for name in ("topic", "partition", "offset"))
    known, time = _is_id(place) is not None, fields.get("timestamp", b"")
    first = fields.get("id", place)
    return Letter(
        place.decode() if known else f"{record.topic}-{record.partition}-{record.offset}",
        first.decode() if _is_id(first) else "",
        fields["topic"].decode() if known else None,
        int(fields["partition"]) if known else None,
        int(time) if _is_time(time) else record.timestamp,
        [(name.removeprefix(ORIGINAL), value or b"") for name, value in record.headers or () if name.startswith(ORIGINAL)],
        not set(CUT) & set(fields),
    )


def redriven_headers(letter: Letter) -> Headers:
    """Return the headers with which a letter's record is sent again; `as_first` reads them."""
    ours = [(REDRIVEN_TIMESTAMP, str(letter.timestamp).encode())]
    if letter.id:
        ours.append((REDRIVEN_ID, letter.id.encode()))
    return [*letter.headers, *ours]


def as_first(record: KafkaRecord) -> tuple[KafkaRecord, str | None]:
    """Return a record as it was before it was sent again, and the event id of its first place.

    Partition and offset stay. Any other record is returned as it is, without an id.
    """
    ours = {name: value or b"" for name, value in record.headers if name.startswith(REDRIVEN)} if record.headers else None
    if not ours:
        return record, None
    first, time = ours.get(REDRIVEN_ID, b""), ours.get(REDRIVEN_TIMESTAMP, b"")
    headers = tuple(header for header in record.headers if not header[0].startswith(REDRIVEN))
    timestamp = int(time) if _is_time(time) else record.timestamp
    as_it_was = Record(record.topic, record.partition, record.offset, timestamp, record.key, record.value, headers)
    return as_it_was, first.decode() if _is_id(first) else None
