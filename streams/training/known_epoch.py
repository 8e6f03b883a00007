"""The highest epoch of a trainer that is in the log."""

from __future__ import annotations

from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import bounds, read_range
from streams.learning.model_updates import UpdateRefused, from_record
from streams.learning.updates import MAX_LEAP
from streams.settings import Settings

LAST = 64
"""Records of `model-updates` that are read. A trainer that runs writes several in a second."""


async def known_epoch(settings: Settings, model: str, known: int) -> int:
    """Return the highest epoch in the last updates of this model, or ``known`` if that is higher.

    Epochs that followers would refuse do not count.
    """
    topic, config = settings.topic("model-updates"), aiokafka_config(settings)
    offsets = await bounds(topic, config, 0)
    for record in await read_range(topic, config, 0, offsets[-LAST:]):
        try:
            epoch = from_record(record.value, model)[0].epoch
        except UpdateRefused:
            continue
        if epoch - known <= MAX_LEAP:
            known = max(known, epoch)
    return known
