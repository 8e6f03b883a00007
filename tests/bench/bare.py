"""The work of a worker in a bare aiokafka loop, without Faust.

Like a worker, it decodes and steps each event, awaits the outputs before it sends the changelog,
writes RocksDB, and commits. `pipeline.py` runs it in a process of its own. After each unit it
prints the events done and the CPU seconds used.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from rocksdict import Options, Rdict, WriteBatch

from streams.events.decode import EventDecoder
from streams.events.records import Recommendation
from streams.sessions.step import Limits, Source, State, pack, state_key, step, unpack

encode = msgspec.json.Encoder().encode

LIMITS = Limits(1_800_000, 1_800_000)


async def send(
    producer: AIOKafkaProducer, topic: str, partition: int, pairs: Sequence[tuple[bytes | None, bytes]]
) -> list[asyncio.Future[Any]]:
    """Send records to a partition in as few batches as possible. Returns the batches' futures."""
    now = int(time.time() * 1000)
    batch, futures = producer.create_batch(), []
    for key, value in pairs:
        if batch.append(key=key, value=value, timestamp=now) is None:
            futures.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=now)
    futures.append(await producer.send_batch(batch, topic, partition=partition))
    return futures


async def main(broker: str, prefix: str, folder: Path, total: int, unit: int) -> None:
    """Work until ``total`` events are done, ``unit`` of them at most per poll."""
    decoder = EventDecoder()
    consumer = AIOKafkaConsumer(
        f"{prefix}events",
        bootstrap_servers=broker,
        group_id=f"{prefix}bare",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=unit,
        fetch_max_wait_ms=25,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=broker, acks="all", enable_idempotence=True, max_batch_size=900_000, linger_ms=0
    )
    await consumer.start()
    await producer.start()
    stores: dict[int, Rdict] = {}
    done = 0
    while done < total:
        polled = await consumer.getmany(timeout_ms=1000, max_records=unit)
        transitions: list[tuple[bytes | None, bytes]] = []
        outputs: list[asyncio.Future[Any]] = []
        changes: list[tuple[int, Rdict, list[tuple[bytes, bytes]]]] = []
        for tp, records in polled.items():
            partition = tp.partition
            if partition not in stores:
                stores[partition] = Rdict(str(folder / f"{partition}"), Options(raw_mode=True))
            store = stores[partition]
            states: dict[bytes, tuple[State, int]] = {}
            recommendations: list[tuple[bytes | None, bytes]] = []
            for record in records:
                (event,) = decoder.decode(
                    record.key, record.value, topic=tp.topic, partition=partition, offset=record.offset,
                    timestamp_ms=record.timestamp,
                ).events  # fmt: skip
                key = state_key(event)
                if key in states:
                    state = states[key][0]
                else:
                    stored = store.get(key)
                    state = State() if stored is None else unpack(stored)
                result = step(state, event, Source(partition, record.offset, record.timestamp), LIMITS)
                states[key] = (state, record.offset)
                if result.transition is not None and result.session is not None:
                    transitions.append((None, encode(result.transition)))
                    recommendation = Recommendation(
                        recommendation_id=f"{tp.topic}-{partition}-{record.offset}",
                        user_id=event.user_id,
                        session_id=event.session_id,
                        generated_at=int(time.time() * 1000),
                        trigger_event_id=event.event_id,
                        trigger_offset=record.offset,
                        model_version=0,
                        strategy="null",
                        prefix=[interaction.item_id for interaction in result.session.prefix[-10:]],
                        items=[],
                        took_ms=0.0,
                    )
                    recommendations.append((record.key, encode(recommendation)))
            outputs += await send(producer, f"{prefix}recommendations", partition, recommendations)
            changed = [(key, pack(*state)) for key, state in states.items()]
            changed.append((b"\x00watermark", records[-1].offset.to_bytes(8, "big")))
            changes.append((partition, store, changed))
        if transitions:
            outputs += await send(producer, f"{prefix}transitions", 0, transitions)
        for future in outputs:
            await future
        sent = [await send(producer, f"{prefix}sessions-changelog", partition, changed) for partition, _, changed in changes]
        for futures, (_, store, changed) in zip(sent, changes, strict=True):
            for future in futures:
                await future
            batch = WriteBatch(raw_mode=True)
            for name, packed in changed:
                batch.put(name, packed)
            store.write(batch)
        if polled:
            done += sum(len(records) for records in polled.values())
            await consumer.commit({tp: records[-1].offset + 1 for tp, records in polled.items()})
            print(json.dumps([done, time.process_time()]), flush=True)
    await producer.stop()
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
