"""Ouzel's topics: what each must be, making them, and telling where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    TopicAlreadyExistsError,
    UnsupportedVersionError,
)

from streams.kafka.connection import client_config, connecting, in_one_line
from streams.settings import Settings

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
TIMEOUT_MS = 15_000
AT_LEAST = ("retention.ms", "min.compaction.lag.ms")


class TopicsError(Exception):
    """The broker refused what was asked; one line."""


@dataclass(frozen=True)
class TopicSpec:
    """What a topic must be. ``config`` holds the broker's names; times in ms are lower bounds, -1 is unbounded.

    ``made_with`` is what a new topic gets on top.
    """

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    made_with: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TopicState:
    """What a topic is; ``config`` and what this user is ``allowed`` in Kafka's words; ``None`` where the broker does not tell."""

    partitions: int
    config: dict[str, str] | None
    allowed: frozenset[str] | None = None


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Every topic, as in docs/design.md."""
    many = settings.partitions
    delete, compact = {"cleanup.policy": "delete"}, {"cleanup.policy": "compact"}
    both = {"cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS)}
    learning = delete | {"retention.ms": str(7 * DAY_MS)}
    longer = {"retention.ms": str(30 * DAY_MS)}
    rolled = {"segment.ms": str(HOUR_MS // 6), "segment.bytes": str(64 << 20)}  # only whole segments are removed
    specs = {
        "events": (many, delete),
        "items": (many, compact),
        "recommendations": (many, both),
        "sessions-changelog": (many, compact | {"min.compaction.lag.ms": str(HOUR_MS)}),
        "transitions": (1, learning),
        "model-updates": (1, delete | {"retention.ms": str(max(int(10_000 * settings.snapshot_every_s), HOUR_MS))}),
        "model": (1, delete | {"retention.ms": "-1"}),
        "dead-letters": (many, delete),
        "learner": (1, delete),
    }
    return [
        TopicSpec(
            settings.topic(name), count, config, longer if config is learning else rolled if name == "model-updates" else {}
        )
        for name, (count, config) in specs.items()
    ]


def admin(settings: Settings) -> KafkaAdminClient:
    """An admin client. Raises `NoBroker` when no broker answers, `SettingsError` on a TLS file that is none."""
    with connecting(settings):
        return KafkaAdminClient(**client_config(settings), request_timeout_ms=TIMEOUT_MS)


def create_topics(settings: Settings) -> list[str]:
    """Make what is missing; returns the names made. What is there already stays as it is: see `check_topics`."""
    made = []
    client = admin(settings)
    try:
        existing = set(client.list_topics())
        for spec in topic_specs(settings):
            if spec.name in existing:
                continue
            options = {
                "num_partitions": spec.partitions,
                "replication_factor": settings.replication,
                "configs": spec.config | spec.made_with,
            }
            try:
                client.create_topics({spec.name: options}, timeout_ms=TIMEOUT_MS)
            except TopicAlreadyExistsError:
                continue
            made.append(spec.name)
        client.wait_for_topics(made, TIMEOUT_MS)
    except KafkaError as error:
        raise TopicsError(f"topics could not be made: {in_one_line(error)}") from error
    finally:
        client.close()
    return made


def require_topics(settings: Settings, *names: str) -> None:
    """Raises `TopicsError` where one of them is missing: a broker may make it by itself, with partitions as it likes."""
    client = admin(settings)
    try:
        existing = set(client.list_topics())
    except KafkaError as error:
        raise TopicsError(f"topics could not be listed: {in_one_line(error)}") from error
    finally:
        client.close()
    missing = [topic for name in names if (topic := settings.topic(name)) not in existing]
    if missing:
        raise TopicsError(f"no topic {', '.join(missing)} that this user sees: `ouzel topics create` makes what is missing")


def describe_topics(settings: Settings) -> dict[str, TopicState | None]:
    """What each topic is; ``None`` for one that is missing."""
    client = admin(settings)
    try:
        names = [spec.name for spec in topic_specs(settings)]
        existing = set(client.list_topics())
        present = [name for name in names if name in existing]
        described = {topic["name"]: topic for topic in client.describe_topics(present)} if present else {}
        configs = _configs(client, present)
    except KafkaError as error:
        raise TopicsError(f"topics could not be described: {in_one_line(error)}") from error
    finally:
        client.close()
    return {name: _state(described[name], configs.get(name)) if name in described else None for name in names}


def check_topics(settings: Settings) -> list[str]:
    """Every difference between what the topics are and must be, a line each; none means all is well."""
    return topic_problems(settings, describe_topics(settings))


def topic_problems(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """The same, of topics that `describe_topics` has told."""
    return [problem for spec in topic_specs(settings) for problem in differences(spec, states[spec.name])]


def events_retention_ms(settings: Settings, states: Mapping[str, TopicState | None]) -> int | None:
    """How long an event stays in the log, ``None`` for ever; a broker that does not tell is taken to keep them for a week."""
    state = states[settings.topic("events")]
    told = int(((state and state.config) or {}).get("retention.ms", 7 * DAY_MS))
    return None if told < 0 else told


def differences(spec: TopicSpec, state: TopicState | None) -> list[str]:
    """How one topic differs from its specification."""
    if state is None:
        return [f"{spec.name}: missing, or hidden from this user; `ouzel topics create` makes what is missing"]
    problems = []
    if state.partitions != spec.partitions:
        problems.append(
            f"{spec.name}: {state.partitions} partitions, the settings say {spec.partitions}; partition counts are fixed: "
            "set OUZEL_PARTITIONS to what is there, or make the topics anew and run `ouzel reset`"
        )
    for name, wanted in spec.config.items():
        found = (state.config or {}).get(name)
        if found is not None and not _fits(name, found, wanted):
            problems.append(f"{spec.name}: {name} is {found}, must be {'at least ' if name in AT_LEAST else ''}{wanted}")
    return problems


def untold(spec: TopicSpec, state: TopicState | None) -> list[str]:
    """What must hold and could not be checked, because this broker does not tell it."""
    missing = [name for name in spec.config if state is not None and name not in (state.config or {})]
    return [f"{spec.name}: {name} is not told by this broker, so not checked" for name in missing]


def _state(described: Mapping[str, Any], config: dict[str, str] | None) -> TopicState:
    """Whoever sees a topic may at least describe it; a broker that tells less does not know the question."""
    allowed = frozenset(described.get("authorized_operations") or ())
    return TopicState(len(described["partitions"]), config, allowed if "DESCRIBE" in allowed else None)


def _fits(name: str, found: str, wanted: str) -> bool:
    if name in AT_LEAST:
        return int(found) == -1 or -1 < int(wanted) <= int(found)
    return sorted(found.replace(" ", "").split(",")) == sorted(wanted.split(","))


def _configs(client: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Configurations by topic, as far as the broker tells them.

    The embedded broker tells only what a topic was made with, and one that does not let us ask tells nothing.
    """
    found: dict[str, dict[str, str]] = {}
    if not names:
        return found
    try:
        answer: Any = client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in names], config_filter="all"
        )
    except (UnsupportedVersionError, AuthorizationError):
        return found
    for by_name in answer.values():
        for name, values in by_name.items():
            told = {key: str(data["value"]) for key, data in values.items() if data.get("value") is not None}
            if told:
                found[name] = told
    return found
