"""The traffic while faults happen: a steady load of clicks, and a reader of recommendations."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from support.journey import clicks

from streams.events.records import POPULAR_KEY
from streams.kafka.connection import client_config, consumer_config
from streams.settings import Settings

USERS = 500
MOST_EVENTS, BATCH = 2_000_000, 20_000


Sent = tuple[str, bytes | None, bytes]
"""A record to send: the full name of its topic, its key and its value."""


class Load(threading.Thread):
    """Produces clicks to the events at ``rate`` per second until `finish`.

    ``sent[n]`` is when event n was passed to the producer, on the monotonic clock. ``error`` is
    what the thread failed with, if it did.
    """

    def __init__(self, settings: Settings, rate: float, seed: int = 0) -> None:
        super().__init__(daemon=True)
        self._settings, self.rate, self._seed = settings, rate, seed
        self._clicks: list[tuple[bytes, bytes]] = []
        self._stopping = threading.Event()
        self.sent: list[float] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Produce, and keep the error for `finish`."""
        try:
            self._produce()
        except BaseException as error:
            self.error = error

    def _produce(self) -> None:
        producer = KafkaProducer(
            **client_config(self._settings), acks="all", enable_idempotence=True, linger_ms=5,
            delivery_timeout_ms=600_000, request_timeout_ms=20_000, max_block_ms=600_000,
        )  # fmt: skip
        futures: list[Any] = []
        due = time.monotonic()
        for number in range(MOST_EVENTS):
            record = self._record(number)
            if self._stopping.is_set():
                break
            due += 1 / self.rate
            ahead = due - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            topic, key, value = record
            self.sent.append(time.monotonic())
            futures.append(producer.send(topic, key=key, value=value))
        producer.flush(timeout=600)
        for future in futures:
            future.get(timeout=600)
        producer.close()

    def _record(self, number: int) -> Sent:
        """Event ``number``; its id is "n" and the number."""
        place = number % BATCH
        if place == 0:
            self._clicks = clicks(BATCH, USERS, seed=self._seed + number // BATCH)
        key, value = self._clicks[place]
        fields = msgspec.json.decode(value)
        fields |= {"event_id": f"n{number}", "timestamp": 1_700_000_000_000 + number * 1000}
        return self._settings.topic("events"), key, msgspec.json.encode(fields)

    def finish(self) -> int:
        """Stop, wait for all confirmations, and return the number of events. Raises ``error``."""
        self._stopping.set()
        self.join(900)
        if self.error is not None:
            raise self.error
        assert not self.is_alive(), "the load has not stopped after 900 s"
        return len(self.sent)


class _Ranking(msgspec.Struct):
    trigger_event_id: str


class Tail(threading.Thread):
    """Reads recommendations as they arrive, until `stop`.

    ``seen`` has, for each partition, the arrival of each recommendation on the monotonic clock and
    the number of its event. ``started`` is set once the thread is about to read.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self._stopping = threading.Event()
        self.seen: dict[int, list[tuple[float, int]]] = {number: [] for number in range(settings.partitions)}
        self.started = threading.Event()

    def run(self) -> None:
        """Read from the beginning of the topic."""
        consumer = KafkaConsumer(
            **consumer_config(self._settings), fetch_max_wait_ms=20, group_id=None, enable_auto_commit=False,
            auto_offset_reset="earliest",
        )  # fmt: skip
        topic = self._settings.topic("recommendations")
        consumer.assign([TopicPartition(topic, number) for number in self.seen])
        self.started.set()
        while not self._stopping.is_set():
            for tp, records in consumer.poll(timeout_ms=100).items():
                now = time.monotonic()
                for record in records:
                    if record.key != POPULAR_KEY and record.value is not None:
                        self._take(tp.partition, now, record.value)
        consumer.close()

    def _take(self, partition: int, now: float, value: bytes) -> None:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):  # a fault may write other records
            trigger = msgspec.json.decode(value, type=_Ranking).trigger_event_id
            if trigger.startswith("n"):
                self.seen[partition].append((now, int(trigger[1:])))

    def stop(self) -> None:
        """Stop reading, and wait for the thread to end."""
        self._stopping.set()
        self.join(30)
