"""Makes the records that `ouzel dead-letters redrive` sends: a letter's record, or its events.

A letter of the events topic goes there again as it was. A letter of the intake does not go to its
source topic, where other systems would read it twice. It is read again by the rules of
OUZEL_INTAKE, and its events go to the events topic.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from kafka.partitioner.default import murmur2

from streams.events.dead_letter import Letter, read_letter, redriven_headers
from streams.intake.rekeying import Rekeying, Target, Unit, murmur_partitions
from streams.intake.sources import sources_of
from streams.kafka.outbox import Headers
from streams.settings import Settings
from streams.wire.record import KafkaRecord, Record

Again = tuple[str, bytes | None, bytes | None, Headers, int | None, int | None]
"""A record to send: topic, key, value, headers, partition and Kafka time, which may be unset."""


class SourceLetters:
    """Makes the records to send. The constructor raises `SettingsError` if a source is wrong."""

    def __init__(self, settings: Settings) -> None:
        self._events, self._sources = settings.topic("events"), sources_of(settings)
        partition_of = murmur_partitions(murmur2, settings.partitions)
        target = Target(self._events, settings.topic("dead-letters"), settings.partitions, partition_of)
        self._rekeying = Rekeying(self._sources, target)
        self._unknown, self._invalid = Counter[str](), Counter[tuple[str, str]]()

    def again(self, record: KafkaRecord) -> Sequence[Again] | None:
        """Return what to send for a letter; ``None`` if it cannot be sent, see `problems`."""
        letter = read_letter(record)
        if letter.topic in (None, self._events):
            return [(self._events, record.key, record.value, redriven_headers(letter), letter.partition, None)]
        if letter.topic not in self._sources:
            self._unknown[str(letter.topic)] += 1
            return None
        unit = Unit()
        self._rekeying.add(unit, _first(record, letter), int(time.time() * 1000))
        if unit.rejected:
            self._invalid.update(unit.rejected)
            return None
        # Without a partition: Kafka's client chooses it by the key, for the present number of them.
        return [(topic, *sent[:3], None, sent[3]) for (topic, _), several in unit.events.items() for sent in several]

    def problems(self) -> Iterator[str]:
        """Yield a line for each kind of letters that cannot be sent."""
        for topic, count in sorted(self._unknown.items()):
            yield f"{count} cannot be sent again: they are of topic {topic}, which OUZEL_INTAKE does not name"
        for (topic, reason), count in sorted(self._invalid.items()):
            yield f"{count} of topic {topic} are not sent: they are still invalid ({reason})"


def _first(record: KafkaRecord, letter: Letter) -> Record:
    """Return the record of a letter as if it had been sent to its own place again."""
    offset = int(letter.place.rpartition("-")[2])
    headers = tuple(redriven_headers(letter))
    return Record(str(letter.topic), letter.partition or 0, offset, letter.timestamp, record.key, record.value, headers)
