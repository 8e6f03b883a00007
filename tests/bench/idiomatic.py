"""The work of a worker as Faust's documentation suggests: one table write and two sends per event.

`pipeline.py` runs it in a process of its own. After every 500 events it prints the events done and
the CPU seconds used.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import faust

from streams.events.decode import EventDecoder
from streams.sessions.step import Limits, Source, State, pack, state_key, step, unpack

LIMITS = Limits(1_800_000, 1_800_000)


async def main(broker: str, prefix: str, folder: Path, total: int, partitions: int) -> None:
    """Work until ``total`` events are done."""
    app = faust.App(
        f"{prefix}idiomatic",
        broker=f"kafka://{broker}",
        store="rocksdb://",
        datadir=str(folder),
        web_enabled=False,
        topic_partitions=partitions,
        topic_replication_factor=1,
        topic_disable_leader=True,
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
    )
    raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
    events = app.topic(f"{prefix}events", partitions=partitions, **raw)
    recommendations = app.topic(f"{prefix}recommendations", partitions=partitions, **raw)
    transitions = app.topic(f"{prefix}transitions", partitions=1, **raw)
    sessions = app.Table("sessions", partitions=partitions, key_type=bytes, value_type=bytes, options={"driver": "rocksdict"})
    decoder, finished, done = EventDecoder(), asyncio.Event(), 0

    @app.agent(events)
    async def recommend(stream: Any) -> None:
        nonlocal done
        async for incoming in stream.events():
            message = incoming.message
            (event,) = decoder.decode(
                message.key, message.value, topic=message.topic, partition=message.partition, offset=message.offset,
                timestamp_ms=int(message.timestamp * 1000),
            ).events  # fmt: skip
            key = state_key(event)
            stored = sessions.get(message.key)
            state = State() if stored is None else unpack(stored)
            source = Source(message.partition, message.offset, int(message.timestamp * 1000))
            result = step(state, event, source, LIMITS)
            sessions[message.key] = pack(state, message.offset)
            await transitions.send(value=json.dumps({"item_id": event.item_id, "outcome": result.outcome}).encode())
            await recommendations.send(key=message.key, value=json.dumps({"user_id": event.user_id, "key": str(key)}).encode())
            done += 1
            if done % 500 == 0:
                print(json.dumps([done, time.process_time()]), flush=True)
            if done >= total:
                finished.set()

    await app.start()
    await finished.wait()
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
