"""How existing topics differ from their specifications, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.kafka.topics import MAX_MESSAGE, TopicSpec, TopicState, describe_topics, missing_topics, topic_specs
from streams.settings import Settings
from streams.wire.codecs import CODECS

NEW_TOPICS = "create new topics, with another OUZEL_TOPIC_PREFIX, and run `ouzel reset`"
AT_LEAST = ("retention.ms", "min.compaction.lag.ms", MAX_MESSAGE)
COMPRESSION = "compression.type"
COMPRESSIONS = ("producer", *CODECS)
"""The values of `COMPRESSION` whose batches Ouzel reads. ``producer`` leaves it to the producer."""


def check_topics(settings: Settings) -> list[str]:
    """Return every difference between the topics and their specifications, one line each."""
    return topic_problems(settings, describe_topics(settings))


def topic_problems(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """Return the same as `check_topics`, for a result of `describe_topics`."""
    specs = topic_specs(settings)
    counts = [state.partitions for spec in specs if spec.as_events and (state := states[spec.name]) is not None]
    return [problem for spec in specs for problem in differences(spec, states[spec.name], counts)]


def differences(spec: TopicSpec, state: TopicState | None, counts: Sequence[int] = ()) -> list[str]:
    """Return how one topic differs from its specification, a line for each difference.

    ``counts`` are the numbers of partitions of all topics that must have equal ones.
    """
    if state is None:
        return [missing_topics([spec.name])]
    problems = []
    if state.partitions != spec.partitions and not spec.any_count:
        rule = f"the settings say {spec.partitions}" if spec.as_events else f"must have {spec.partitions}"
        advice = equal_partitions(spec.partitions, counts or [state.partitions]) if spec.as_events else NEW_TOPICS
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
