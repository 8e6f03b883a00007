"""The number of partitions: noticing that it has grown, and raising it for all topics together."""

from __future__ import annotations

import asyncio
import time

from aiokafka.client import AIOKafkaClient
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from streams.errors import Refused
from streams.kafka.connection import connection, in_one_line
from streams.kafka.provided import missing_provided
from streams.kafka.retry import TEMPORARY, until_kafka_answers
from streams.kafka.topics import TIMEOUT_MS, MissingTopics, TopicsError, admin, partition_counts, topic_specs
from streams.settings import Settings

LOOK_EVERY_S = 10.0
GROWN_WITHIN_S = 30.0


class PartitionsGrown(Refused):
    """Somebody has added partitions to the events topic. The message is one line."""

    def __init__(self, settings: Settings, actual: int) -> None:
        known, restart = f"OUZEL_PARTITIONS is {settings.partitions}", f"with OUZEL_PARTITIONS={actual}"
        if settings.is_provided("events"):
            known, restart = f"had {settings.partitions} when this process started", "without OUZEL_PARTITIONS"
        super().__init__(
            f"{settings.topic('events')} has {actual} partitions, and {known}: partitions were added while this process ran. "
            f"Stop all workers and servers, run `ouzel topics grow --partitions {actual}`, and start them {restart}"
        )


async def watch_partitions(settings: Settings) -> None:
    """Raise `PartitionsGrown` soon after partitions were added to the events topic.

    It looks every `LOOK_EVERY_S`, with a client of its own: the consumer asks only every five
    minutes. While Kafka is away, it waits.
    """

    async def look() -> None:
        client = AIOKafkaClient(**connection(settings))
        try:
            await client.bootstrap()
            await client.set_topics([topic])
            while True:
                found = client.cluster.partitions_for_topic(topic) or ()
                if len(found) > settings.partitions:
                    raise PartitionsGrown(settings, len(found))
                await asyncio.sleep(LOOK_EVERY_S)
                await client.force_metadata_update()
        finally:
            await client.close()

    topic = settings.topic("events")
    await until_kafka_answers(look, LOOK_EVERY_S, away=TEMPORARY)


def grow_topics(settings: Settings, partitions: int) -> dict[str, int]:
    """Raise the topics that must have equal numbers of partitions to this number.

    Returns the earlier number of each topic that was grown. Events grow last, so that every event
    finds the other topics ready. The user's own events topic must have this number already. An
    interrupted call can be repeated. Raises `Refused` if a topic has more partitions already, or
    the user's own another number, and `MissingTopics` if one is missing.
    """
    events = settings.topic("events")
    names = [spec.name for spec in topic_specs(settings) if spec.as_events and not spec.provided]
    names.sort(key=lambda name: name == events)
    client = admin(settings)
    try:
        before = partition_counts(client, [*names, events])
        if settings.is_provided("events") and before.get(events) != partitions:
            raise Refused(_another_number(settings, before.get(events)))
        if missing := [name for name in names if name not in before]:
            raise MissingTopics(*missing)
        largest = max(names, key=lambda name: before[name])
        if before[largest] > partitions:
            raise Refused(
                f"--partitions: {largest} has {before[largest]} partitions, and Kafka cannot remove any: use --partitions "
                f"{before[largest]} or more"
            )
        grown = {name: before[name] for name in names if before[name] < partitions}
        for name in grown:
            client.create_partitions({name: partitions}, timeout_ms=TIMEOUT_MS)
        _wait_grown(client, names, partitions)
    except KafkaError as error:
        raise TopicsError(f"the partitions could not be added: {in_one_line(error)}; run the command again") from error
    finally:
        client.close()
    return grown


def _another_number(settings: Settings, actual: int | None) -> str:
    """Return the message for the user's own events topic that has another number of partitions."""
    if actual is None:
        return missing_provided(settings, "events")
    return (
        f"--partitions: {settings.topic('events')} has {actual} partitions: use --partitions {actual}, or first add "
        "partitions to it with Kafka's own tools"
    )


def _wait_grown(client: KafkaAdminClient, names: list[str], partitions: int) -> None:
    """Wait until the broker shows the new partitions, which may take a moment."""
    until = time.monotonic() + GROWN_WITHIN_S
    while any(count < partitions for count in partition_counts(client, names).values()):
        if time.monotonic() > until:
            raise TopicsError(f"the broker does not show the new partitions after {GROWN_WITHIN_S:.0f} s; run the command again")
        time.sleep(0.1)
