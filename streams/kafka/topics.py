"""Ouzel's topics: their required properties, their creation, and how existing ones differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from streams.errors import OuzelError
from streams.kafka.connection import client_config, connecting, in_one_line
from streams.settings import Settings

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
TIMEOUT_MS = 15_000
AS_EVENTS = ("events", "recommendations", "sessions-changelog", "dead-letters")
"""The topics in which the outputs of an event have its partition number."""
ITEMS = "items"
"""The topic that may have any number of partitions: every reader reads all of them.

It must not grow. An item's later records would go to another partition, and a reader could apply
them before the earlier ones.
"""
MAX_MESSAGE = "max.message.bytes"
BATCH_BYTES = 900_000
"""The largest batch that a worker sends, unless a single record is larger."""
WRITTEN = ("recommendations", "sessions-changelog", "transitions", "model-updates", "model", "dead-letters")
"""The topics that workers write."""


class TopicsError(OuzelError):
    """Kafka rejected a request about topics or groups, or a topic is missing.

    The message is one line.
    """


@dataclass(frozen=True)
class TopicSpec:
    """The required properties of a topic.

    ``config`` has Kafka's topic options. Its times are in ms and are lower bounds; -1 is unbounded.
    ``extra_config`` has options that a topic also gets when it is created; they are not checked
    later. ``as_events`` says that each event needs the partition of its own number: such topics
    have as many partitions as the events. The number of ``any_count`` is not checked, either.
    ``largest`` is the size of the largest batch that Ouzel writes to the topic. Kafka's default
    admits it, so it is checked but not set.
    """

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    extra_config: dict[str, str] = field(default_factory=dict)
    as_events: bool = False
    any_count: bool = False
    largest: int = 0


@dataclass(frozen=True)
class TopicState:
    """The actual properties of a topic.

    ``config`` has Kafka's topic options, ``allowed`` the operations that this user may perform.
    Either is ``None`` if the broker does not report it.
    """

    partitions: int
    config: dict[str, str] | None
    allowed: frozenset[str] | None = None


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return the required properties of each topic; docs/design.md has the same list."""
    many = settings.partitions
    delete, compact = {"cleanup.policy": "delete"}, {"cleanup.policy": "compact"}
    both = {"cleanup.policy": "compact,delete", "retention.ms": str(7 * DAY_MS)}
    learning = delete | {"retention.ms": str(7 * DAY_MS)}
    longer = {"retention.ms": str(30 * DAY_MS)}
    rolled = {"segment.ms": str(HOUR_MS // 6), "segment.bytes": str(64 << 20)}  # retention removes whole segments only
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
            settings.topic(name),
            count,
            config,
            longer if config is learning else rolled if name == "model-updates" else {},
            as_events=name in AS_EVENTS,
            any_count=name == ITEMS,
            largest=BATCH_BYTES if name in WRITTEN else 0,
        )
        for name, (count, config) in specs.items()
    ]


def admin(settings: Settings) -> KafkaAdminClient:
    """Return an admin client.

    Raises `NoBroker` if no broker answers, `SettingsError` for an unusable TLS file.
    """
    with connecting(settings):
        return KafkaAdminClient(**client_config(settings), request_timeout_ms=TIMEOUT_MS)


def create_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing, and return their names.

    Existing topics stay as they are: see `check_topics`.
    """
    created = []
    client = admin(settings)
    try:
        existing = set(client.list_topics())
        for spec in topic_specs(settings):
            if spec.name in existing:
                continue
            options = {
                "num_partitions": spec.partitions,
                "replication_factor": settings.replication,
                "configs": spec.config | spec.extra_config,
            }
            try:
                client.create_topics({spec.name: options}, timeout_ms=TIMEOUT_MS)
            except TopicAlreadyExistsError:
                continue
            created.append(spec.name)
        client.wait_for_topics(created, TIMEOUT_MS)
    except KafkaError as error:
        raise TopicsError(f"topics could not be created: {in_one_line(error)}") from error
    finally:
        client.close()
    return created


def require_topics(settings: Settings, *names: str) -> None:
    """Raise `TopicsError` if one of these topics is missing.

    Tools check this first, because a broker may create a topic that a client names, with a
    partition count of its own.
    """
    client = admin(settings)
    try:
        existing = set(client.list_topics())
    except KafkaError as error:
        raise TopicsError(f"topics could not be listed: {in_one_line(error)}") from error
    finally:
        client.close()
    missing = [topic for name in names if (topic := settings.topic(name)) not in existing]
    if missing:
        raise TopicsError(missing_topics(missing))


def missing_topics(names: Sequence[str]) -> str:
    """Return the message for topics that are missing, in one line."""
    subject = f"topic {names[0]} is" if len(names) == 1 else f"topics {', '.join(names)} are"
    return f"{subject} missing or not visible to this user; `ouzel topics create` creates the missing topics"


def describe_topics(settings: Settings) -> dict[str, TopicState | None]:
    """Return the state of each topic: ``None`` if it is missing or not visible to this user."""
    return describe_named(settings, [spec.name for spec in topic_specs(settings)])


def describe_named(settings: Settings, names: list[str], with_config: bool = True) -> dict[str, TopicState | None]:
    """Return the same as `describe_topics` for topics of any name.

    Without ``with_config`` this user may lack the permission DescribeConfigs.
    """
    client = admin(settings)
    try:
        existing = set(client.list_topics())
        present = [name for name in names if name in existing]
        described = {topic["name"]: topic for topic in client.describe_topics(present)} if present else {}
        configs = _configs(client, present) if with_config else {}
    except KafkaError as error:
        raise TopicsError(f"topics could not be described: {in_one_line(error)}") from error
    finally:
        client.close()
    return {name: _state(described[name], configs.get(name)) if name in described else None for name in names}


def events_retention_ms(settings: Settings, states: Mapping[str, TopicState | None]) -> int | None:
    """Return how long an event stays in the log, in ms; ``None`` is for ever.

    If the broker does not report it, it is taken to be a week.
    """
    state = states[settings.topic("events")]
    retention_ms = int(((state and state.config) or {}).get("retention.ms", 7 * DAY_MS))
    return None if retention_ms < 0 else retention_ms


def _state(described: Mapping[str, Any], config: dict[str, str] | None) -> TopicState:
    """Return the state of a topic.

    A user who sees a topic may at least describe it. A broker that does not report this permission
    reports none.
    """
    allowed = frozenset(described.get("authorized_operations") or ())
    return TopicState(len(described["partitions"]), config, allowed if "DESCRIBE" in allowed else None)


def _configs(client: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """Return the options of each topic, as far as the broker reports them.

    The embedded broker reports only the options that a topic was created with. A broker that does
    not allow the request reports nothing.
    """
    configs: dict[str, dict[str, str]] = {}
    if not names:
        return configs
    try:
        resources: Any = client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in names], config_filter="all"
        )
    except (UnsupportedVersionError, AuthorizationError):
        return configs
    for by_name in resources.values():
        for name, values in by_name.items():
            config = {key: str(data["value"]) for key, data in values.items() if data.get("value") is not None}
            if config:
                configs[name] = config
    return configs
