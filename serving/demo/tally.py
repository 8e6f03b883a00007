"""Counts the records on the topics, with a consumer that is independent of the worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import msgspec
from kafka import KafkaConsumer, TopicPartition

from serving.state.freshness import Freshness
from streams.errors import BadData
from streams.events.catalogue import Catalogue
from streams.events.decode import BadRecord
from streams.kafka.decoding import decoded
from streams.kafka.reading import kafka_consumer
from streams.settings import Settings
from streams.wire.record import KafkaRecord

COUNTED = ("events", "transitions", "recommendations", "dead-letters")
Positions = dict[TopicPartition, int]
"""The next offset to read, by partition."""


class _Trigger(msgspec.Struct):
    trigger_offset: int


class _Source(msgspec.Struct):
    source_partition: int
    source_offset: int
    source_number: int = 0


_trigger = msgspec.json.Decoder(_Trigger).decode
_source = msgspec.json.Decoder(_Source).decode


@dataclass
class Counts:
    """Counts of the records read so far, by topic.

    ``repeated`` counts outputs that were published again. That happens only after a failure.
    ``refused`` counts records that could not be decoded; ``records`` does not include them.
    """

    records: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    repeated: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    refused: int = 0
    freshness: Freshness = field(default_factory=Freshness)
    catalogue: Catalogue = field(default_factory=Catalogue)
    latest: bytes | None = None
    first_event_ms: int | None = None
    last_recommendation_ms: int | None = None
    _highest: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def take(self, kind: str, record: KafkaRecord) -> None:
        """Count one record. ``kind`` is its topic without the prefix, such as "events"."""
        if kind == "items":
            self._name(record)
            return
        if kind == "events":
            self.freshness.event(record.partition, record.offset, record.timestamp)
            self.first_event_ms = min(self.first_event_ms or record.timestamp, record.timestamp)
        elif kind == "recommendations":
            if record.value is None:
                return  # the tombstone of a deleted user
            offset = decoded(_trigger, record.value).trigger_offset
            if offset < 0:
                return  # the ranking for cold users: no event triggered it
            self.freshness.recommendation(record.partition, offset, record.timestamp)
            self.latest = record.value
            self.last_recommendation_ms = max(self.last_recommendation_ms or 0, record.timestamp)
            self._once(kind, record.partition, offset)
        elif kind == "transitions":
            source = decoded(_source, record.value)
            self._once(kind, source.source_partition, source.source_offset, source.source_number)
        self.records[kind] += 1

    @property
    def events_per_second(self) -> float | None:
        """Events per second of Kafka time, from the first event to the last recommendation."""
        if self.first_event_ms is None or self.last_recommendation_ms is None:
            return None
        took_ms = self.last_recommendation_ms - self.first_event_ms
        return self.records["events"] / took_ms * 1000 if took_ms > 0 else None

    def _once(self, kind: str, partition: int, offset: int, number: int = 0) -> None:
        """Count an output as repeated if its event is not after the last event of its partition.

        Outputs are in the order of their events within a partition.
        """
        if (offset, number) <= self._highest.get((kind, partition), (-1, 0)):
            self.repeated[kind] += 1
        else:
            self._highest[kind, partition] = offset, number

    def _name(self, record: KafkaRecord) -> None:
        try:
            self.catalogue.apply(record.key, record.value)
        except BadRecord:
            return  # the worker counts bad items; here the item only has no name


class TopicTally:
    """Reads the topics from ``start`` in a thread while the context is entered.

    Hold ``lock`` to read ``counts``. ``failure`` is the error that ended the thread, if one did.
    """

    def __init__(self, settings: Settings, start: Mapping[TopicPartition, int]) -> None:
        self.counts = Counts()
        self.lock = threading.Lock()
        self.failure: BaseException | None = None
        self._kinds = {settings.topic(kind): kind for kind in (*COUNTED, "items")}
        self._start = dict(start)
        self._consumer = _consumer(settings)
        self._stop = threading.Event()
        self._positions: Positions = dict(start)
        self._thread = threading.Thread(target=self._run, name="tally", daemon=True)

    def __enter__(self) -> TopicTally:
        self._consumer.assign(list(self._start))
        for partition, offset in self._start.items():
            self._consumer.seek(partition, offset)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(10)

    def reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether every record before these offsets has been read."""
        with self.lock:
            return all(self._positions.get(partition, 0) >= end for partition, end in ends.items())

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                polled = self._consumer.poll(timeout_ms=100, max_records=2000)
                with self.lock:
                    for partition, records in polled.items():
                        self._take(partition, records)
        except BaseException as error:  # the main thread raises it
            self.failure = error
        finally:
            self._consumer.close()

    def _take(self, partition: TopicPartition, records: Iterable[KafkaRecord]) -> None:
        kind = self._kinds[partition.topic]
        for record in records:
            try:
                self.counts.take(kind, record)
            except BadData:
                self.counts.refused += 1
            self._positions[partition] = record.offset + 1


def end_positions(settings: Settings, kinds: Iterable[str] = (*COUNTED, "items"), within_s: float = 20.0) -> Positions:
    """The end offsets of the topics now, by partition."""
    consumer = _consumer(settings)
    try:
        partitions: list[TopicPartition] = []
        for kind in kinds:
            partitions += _partitions(consumer, settings.topic(kind), within_s)
        return dict(consumer.end_offsets(partitions))
    finally:
        consumer.close()


def _partitions(consumer: KafkaConsumer, topic: str, within_s: float) -> list[TopicPartition]:
    """The partitions of a topic. Waits, because a broker may not know a new topic at once."""
    deadline = time.monotonic() + within_s
    while not (numbers := consumer.partitions_for_topic(topic)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the broker did not know topic {topic} within {within_s:.0f} s")
        time.sleep(0.1)
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def _consumer(settings: Settings) -> KafkaConsumer:
    return kafka_consumer(settings, auto_offset_reset="earliest", fetch_max_wait_ms=1000)
