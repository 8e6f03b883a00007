"""The time from sending a record to receiving what is made of it, at a steady rate."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence

from kafka import KafkaConsumer, KafkaProducer

from streams.kafka.connection import consumer_config
from streams.settings import Settings

Sent = tuple[str, bytes | None, bytes]
"""A record to send: the id of its event, key and value."""
LAST_WITHIN_S = 30.0


def latency(settings: Settings, records: Sequence[Sent], *, rate: int, to: str, made: str, id_field: str) -> tuple[float, float]:
    """Return p50 and p99 in ms. The first second does not count.

    The records go to the topic ``to``, ``rate`` of them a second. What is made of them comes from
    the topic ``made``, as JSON whose ``id_field`` is the id of the event. Both are full names.
    """
    consumer = KafkaConsumer(made, **consumer_config(settings), auto_offset_reset="earliest", fetch_max_wait_ms=5)
    sent, took = dict[str, float](), list[float]()

    def consume() -> None:
        for record in consumer:
            at, event_id = time.time(), json.loads(record.value)[id_field]
            if event_id in sent:
                took.append((at - sent[event_id]) * 1000)
            if len(took) >= len(records):
                return

    reader = threading.Thread(target=consume, daemon=True)
    reader.start()
    producer = KafkaProducer(bootstrap_servers=settings.broker, linger_ms=0)
    began = time.monotonic()
    for number, (event_id, key, value) in enumerate(records):
        time.sleep(max(began + number / rate - time.monotonic(), 0))
        sent[event_id] = time.time()
        producer.send(to, key=key, value=value)
    reader.join(LAST_WITHIN_S)
    producer.close()
    ordered = sorted(took[rate:])
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
