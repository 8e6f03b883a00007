"""What the intake checks at its start: its topics, and what this user may do with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.intake.sources import group_of
from streams.kafka.permissions import NEEDED_ON_EACH, lacking
from streams.kafka.topic_checks import topic_problems
from streams.kafka.topics import BATCH_BYTES, MAX_MESSAGE, TopicState, describe_named, describe_topics
from streams.settings import Settings

WRITTEN = ("events", "dead-letters")
"""The topics that the intake writes."""
TopicStates = Mapping[str, TopicState | None]


def describe(settings: Settings, names: Sequence[str]) -> tuple[TopicStates, TopicStates]:
    """Return the states of Ouzel's own topics, and of the sources."""
    return describe_topics(settings), describe_named(settings, list(names), with_config=False)


def problems(settings: Settings, own: TopicStates, sources: TopicStates) -> list[str]:
    """Return what keeps the intake from its work, one line each."""
    events = settings.topic("events")
    written = {settings.topic(name): own[settings.topic(name)] for name in WRITTEN}
    found = [line for line in topic_problems(settings, own) if any(line.startswith(f"{name}: ") for name in written)]
    if missing := [name for name, state in written.items() if state is None]:
        found = [f"topic {name} is missing or not visible to this user; `ouzel topics create` creates it" for name in missing]
    found += [
        f"OUZEL_INTAKE: topic {name} is missing or not visible to this user: create it, grant Read on it, or correct its name"
        for name, state in sources.items()
        if state is None
    ]
    state = own[events]
    limit = (state.config or {}).get(MAX_MESSAGE) if state is not None else None
    if limit is not None and int(limit) < BATCH_BYTES:
        found.append(f"{events}: {MAX_MESSAGE} is {limit}, must be at least {BATCH_BYTES}; change it with Kafka's own tools")
    if found:
        return found
    needed = dict.fromkeys(written, ("WRITE", NEEDED_ON_EACH)) | dict.fromkeys(sources, ("READ",))
    return lacking(settings, {**written, **sources}, needed, group_of(settings), "the intake")
