"""The control: the same step in a stock Faust app, written as Faust's documentation suggests.

The oracle must detect what this app loses or applies twice. Its settings come from the environment,
as a worker's do, and one process of it takes the place of a worker.
"""

from __future__ import annotations

from typing import Any

import faust
import msgspec

from streams.events.decode import EventDecoder
from streams.events.records import recommendation_id
from streams.rules import limits_of
from streams.sessions.step import Source, State, pack, state_key, step, unpack
from streams.settings import load_settings

settings = load_settings()
settings.data_dir.mkdir(parents=True, exist_ok=True)
app = faust.App(
    settings.app_id,
    broker=f"kafka://{settings.broker}",
    store="rocksdb://",
    datadir=str(settings.data_dir),
    web_enabled=False,
    topic_partitions=settings.partitions,
    topic_replication_factor=1,
    topic_disable_leader=True,
    table_standby_replicas=0,
    consumer_auto_offset_reset="earliest",
    broker_session_timeout=settings.session_timeout_s,
    broker_heartbeat_interval=settings.session_timeout_s / 4,
)
raw: dict[str, Any] = {"key_serializer": "raw", "value_serializer": "raw"}
events = app.topic(settings.topic("events"), partitions=settings.partitions, **raw)
recommendations = app.topic(settings.topic("recommendations"), partitions=settings.partitions, **raw)
transitions = app.topic(settings.topic("transitions"), partitions=1, **raw)
changelog = app.topic(settings.topic("sessions-changelog"), partitions=settings.partitions, compacting=True, **raw)
sessions: Any = app.Table(
    "sessions",
    partitions=settings.partitions,
    key_type=bytes,
    value_type=bytes,
    options={"driver": "rocksdict"},
    changelog_topic=changelog,
)
decoder, encode = EventDecoder(), msgspec.json.encode


@app.agent(events)
async def recommend(stream: Any) -> None:
    """Step the session of each event, write it to the table, and send its outputs."""
    async for incoming in stream.events():
        message = incoming.message
        (event,) = decoder.decode(
            message.key, message.value, topic=message.topic, partition=message.partition, offset=message.offset,
            timestamp_ms=int(message.timestamp * 1000),
        ).events  # fmt: skip
        key = state_key(event)
        stored = sessions.get(key)
        state = State() if stored is None else unpack(stored)
        source = Source(message.partition, message.offset, int(message.timestamp * 1000))
        result = step(state, event, source, limits_of(settings))
        sessions[key] = pack(state, message.offset)
        if result.transition is not None:
            await transitions.send(value=encode(result.transition))
        if result.triggers:
            ids = {
                "recommendation_id": recommendation_id(message.topic, message.partition, message.offset),
                "trigger_event_id": event.event_id,
            }
            await recommendations.send(key=message.key, value=encode(ids), partition=message.partition)


if __name__ == "__main__":
    app.main()
