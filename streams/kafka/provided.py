"""The user's own topics: events and items that are there already.

Ouzel reads them, and writes to them what arrives by HTTP or is sent by a tool. It neither creates
nor changes them, so their number of partitions decides about that of Ouzel's topics.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.configuration.fields import variable
from streams.configuration.kafka import name_setting
from streams.errors import Refused
from streams.settings import Settings

PROVIDABLE = ("events", "items")
"""The topics that may be the user's own."""


def missing_provided(settings: Settings, name: str) -> str:
    """Return the message for a missing topic of the user's own, in one line."""
    setting = variable(name_setting(name))
    return (
        f"{setting}: topic {settings.topic(name)} is missing or not visible to this user. "
        f"Ouzel does not create it: correct {setting}, create the topic with Kafka's own tools, or let this user describe it"
    )


def with_partitions(settings: Settings, counts: Mapping[str, int]) -> Settings:
    """Return the settings with the number of partitions of the user's own events topic, if any.

    ``counts`` has the number of partitions of each existing topic. Raises `Refused` if a topic of
    the user's own is missing, or if the settings name another number.
    """
    for name in PROVIDABLE:
        if settings.is_provided(name) and settings.topic(name) not in counts:
            raise Refused(missing_provided(settings, name))
    if not settings.is_provided("events"):
        return settings
    topic = settings.topic("events")
    if "partitions" in settings.model_fields_set and settings.partitions != counts[topic]:
        raise Refused(
            f"OUZEL_PARTITIONS: {topic} has {counts[topic]} partitions, and OUZEL_PARTITIONS is {settings.partitions}. Unset "
            "OUZEL_PARTITIONS: the topic that OUZEL_EVENTS_TOPIC names determines the number"
        )
    return settings.model_copy(update={"partitions": counts[topic]})
