"""How existing topics differ from their specifications, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.kafka.provided import PROVIDABLE
from streams.kafka.topics import (
    CLEANUP,
    MAX_MESSAGE,
    TopicSpec,
    TopicState,
    as_described,
    describe_topics,
    missing_topics,
    topic_specs,
)
from streams.settings import Settings
from streams.wire.codecs import CODECS

NEW_TOPICS = "create new topics, with another OUZEL_TOPIC_PREFIX, and run `ouzel reset`"
AT_LEAST = ("retention.ms", "min.compaction.lag.ms", MAX_MESSAGE)
LIMITS = ("retention.ms", "retention.bytes")
COMPRESSION = "compression.type"
COMPRESSIONS = ("producer", *CODECS)
"""The values of `COMPRESSION` whose batches Ouzel reads. ``producer`` leaves it to the producer."""


def check_topics(settings: Settings) -> list[str]:
    """Return every difference between the topics and their specifications, one line each.

    Raises `Refused` as `as_described` does.
    """
    states = describe_topics(settings)
    return topic_problems(as_described(settings, states), states)


def topic_problems(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """Return the same as `check_topics`, for a result of `describe_topics`.

    ``settings`` are those that `as_described` returns.
    """
    specs = topic_specs(settings)
    counts = [state.partitions for spec in specs if spec.as_events and (state := states[spec.name]) is not None]
    events = settings.topic("events") if settings.is_provided("events") else None
    return [problem for spec in specs for problem in differences(spec, states[spec.name], counts, events)]


def differences(
    spec: TopicSpec, state: TopicState | None, counts: Sequence[int] = (), own_events: str | None = None
) -> list[str]:
    """Return how one topic differs from its specification, a line for each difference.

    ``counts`` are the numbers of partitions of all topics that must have equal ones. ``own_events``
    is the name of the user's own events topic.
    """
    if state is None:
        return [missing_topics([spec.name])]
    problems = []
    if state.partitions != spec.partitions and not spec.any_count:
        rule, advice = f"must have {spec.partitions}", NEW_TOPICS
        if spec.as_events and own_events:
            rule = f"{own_events} has {spec.partitions}"
            advice = as_many_as(own_events, spec.partitions, counts or [state.partitions])
        elif spec.as_events:
            rule, advice = f"the settings say {spec.partitions}", equal_partitions(spec.partitions, counts or [state.partitions])
        problems.append(f"{spec.name}: the topic has {state.partitions} partitions, {rule}; {advice}")
    for name, wanted in {**spec.config, MAX_MESSAGE: str(spec.largest)}.items():
        actual = (state.config or {}).get(name)
        if actual is not None and not _fits(name, actual, wanted):
            bound = "at least " if name in AT_LEAST else ""
            problems.append(f"{spec.name}: {name} is {actual}, must be {bound}{wanted}; change it with Kafka's own tools")
    compression = _compression(state)
    if compression not in COMPRESSIONS:
        problems.append(
            f"{spec.name}: {COMPRESSION} is {compression}, which Ouzel cannot read; set one of {', '.join(COMPRESSIONS)} with "
            "Kafka's own tools"
        )
    return problems


def equal_partitions(wanted: int, counts: Sequence[int]) -> str:
    """Return how topics of these numbers of partitions and the setting become equal.

    The answer is the same for each of the topics.
    """
    most, fewer = max(counts), f"for fewer partitions {NEW_TOPICS}"
    if min(counts) == most > wanted:
        return f"set OUZEL_PARTITIONS={most}; {fewer}"
    goal = max(most, wanted)
    grow = f"stop the workers, run `ouzel topics grow --partitions {goal}`"
    if min(counts) == most:
        return f"set OUZEL_PARTITIONS={most}, or {grow}; {fewer}"
    return f"{grow}, and set OUZEL_PARTITIONS={goal}; {fewer}"


def as_many_as(own_events: str, wanted: int, counts: Sequence[int]) -> str:
    """Return how topics of these numbers get as many partitions as the user's own events topic."""
    grow = "stop the workers, run `ouzel topics grow --partitions"
    if (most := max(counts)) <= wanted:
        return f"{grow} {wanted}`"
    return f"add partitions to {own_events} with Kafka's own tools until it has {most}, and {grow} {most}`; or {NEW_TOPICS}"


def losses(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """Return one line for each way in which Kafka may remove what Ouzel needs from a user's topic.

    That is no reason to refuse the topic. The keys may be different ones, or the producer may send
    every item again.
    """
    lines = []
    for name in PROVIDABLE:
        state = states[settings.topic(name)] if settings.is_provided(name) else None
        config = (state and state.config) or {}
        if loss := _lost_events(config) if name == "events" else _lost_items(config):
            lines.append(f"{settings.topic(name)}: {CLEANUP} is {config[CLEANUP]}{loss}")
    return lines


def _lost_events(config: Mapping[str, str]) -> str | None:
    if "compact" not in config.get(CLEANUP, ""):
        return None
    return ": Kafka keeps only the last event of each key, so others are lost if it removes them before a worker has read them"


def _lost_items(config: Mapping[str, str]) -> str | None:
    limits = [f", {limit} is {config[limit]}" for limit in LIMITS if int(config.get(limit, -1)) != -1]
    if "delete" not in config.get(CLEANUP, "") or not limits:
        return None
    return "".join(limits) + (
        ": an item that is not sent again within this limit is unknown to workers and servers that start later, even if it "
        "must be hidden"
    )


def compressed(spec: TopicSpec, state: TopicState | None) -> list[str]:
    """Return a line that names the compression of a topic, if the topic prescribes one."""
    compression = "producer" if state is None else _compression(state)
    if compression == "producer" or compression not in COMPRESSIONS:
        return []
    return [f"{spec.name}: {COMPRESSION} is {compression}, which Ouzel reads"]


def unchecked(spec: TopicSpec, state: TopicState | None) -> list[str]:
    """Return one line for each option that was not checked: the broker does not report it."""
    missing = [name for name in spec.config if state is not None and name not in (state.config or {})]
    return [f"{spec.name}: {name} was not checked, because this broker does not report it" for name in missing]


def _compression(state: TopicState) -> str:
    return (state.config or {}).get(COMPRESSION, "producer")


def _fits(name: str, actual: str, wanted: str) -> bool:
    if name == MAX_MESSAGE:
        return int(actual) >= int(wanted)
    if name in AT_LEAST:
        return int(actual) == -1 or -1 < int(wanted) <= int(actual)
    return sorted(actual.replace(" ", "").split(",")) == sorted(wanted.split(","))
