"""`ouzel watch [USER]`: prints recommendations in words, as they are published."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec
import typer

from serving.options import Broker, Json, settings_with
from serving.outputs import to_json
from serving.terminal import say
from streams.errors import BadData
from streams.events.catalogue import Catalogue
from streams.events.records import Recommendation
from streams.kafka.connection import connecting
from streams.kafka.decoding import decoded
from streams.kafka.reading import kafka_consumer
from streams.kafka.topics import require_topics
from streams.settings import Settings

SHOWN = 5
ITEMS_WITHIN_S = 3.0
_decode = msgspec.json.Decoder(Recommendation).decode


def register(app: typer.Typer) -> None:
    app.command("watch")(watch)


def watch(
    user: Annotated[
        str | None, typer.Argument(metavar="USER", help="Show only this user: a user id, or the session id of an anonymous user.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="COUNT", help="Stop after COUNT recommendations; without it, run until Ctrl-C.")
    ] = None,
    broker: Broker = None,
    json: Json = False,
) -> None:
    """Print recommendations as they are published.

    Each one shows what the user saw, what is recommended, why, and how fresh it is.
    With --json, each is one line: the published record.
    """
    settings = settings_with(broker)
    require_topics(settings, "recommendations", "items")
    with connecting(settings):
        consumer = kafka_consumer(settings, settings.topic("recommendations"), auto_offset_reset="latest")
    catalogue = _catalogue(settings)
    seen = 0
    try:
        for record in consumer:
            recommendation = _recommendation(record.value)
            if recommendation is None or (user is not None and user not in (recommendation.user_id, recommendation.session_id)):
                continue
            say(*_shown(recommendation, catalogue, json))
            seen += 1
            if seen == count:
                return
    except KeyboardInterrupt:
        return
    finally:
        consumer.close()


def _shown(recommendation: Recommendation, catalogue: Catalogue, json: bool) -> list[str]:
    """Return the lines of one recommendation."""
    if json:
        return [to_json(msgspec.to_builtins(recommendation), indent=None)]
    return in_words(recommendation, catalogue, time.time())


def in_words(recommendation: Recommendation, catalogue: Catalogue, now: float) -> list[str]:
    """Return one recommendation as lines for people. ``now`` is in epoch seconds."""
    owner = recommendation.user_id or recommendation.session_id or "a new user"
    path = " > ".join(catalogue.name(item) for item in recommendation.prefix[-3:])
    shown = []
    for item in recommendation.items[:SHOWN]:
        because = f" because of {catalogue.name(item.because_item_id)}" if item.because_item_id else ""
        shown.append(f"  {item.rank}. {catalogue.name(item.item_id)} ({item.reason}{because})")
    age = max(now * 1000 - recommendation.generated_at, 0)
    head = (
        f"{owner} saw {path or 'nothing yet'}; {recommendation.strategy} model {recommendation.model_version}, {age:.0f} ms ago"
    )
    return [head, *shown]


def _recommendation(value: bytes | None) -> Recommendation | None:
    """Decode a recommendation. ``None`` if it was removed, or if the bytes do not decode."""
    if value is None:
        return None
    try:
        return decoded(_decode, value)
    except BadData:
        return None


def _catalogue(settings: Settings) -> Catalogue:
    """Read the items topic to its present end, for at most `ITEMS_WITHIN_S` seconds."""
    catalogue = Catalogue()
    consumer = kafka_consumer(settings, settings.topic("items"), auto_offset_reset="earliest")
    until = time.monotonic() + ITEMS_WITHIN_S
    while time.monotonic() < until:
        polled = consumer.poll(timeout_ms=300)
        if not polled and len(catalogue):
            break
        for records in polled.values():
            for record in records:
                try:
                    catalogue.apply(record.key, record.value)
                except BadData:
                    continue  # the worker logs it
    consumer.close()
    return catalogue
