"""Ouzel's topics: their required properties, their creation, and how existing ones differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

from streams.errors import OuzelError, Refused
from streams.kafka.connection import client_config, connecting, in_one_line
from streams.kafka.provided import PROVIDABLE, missing_provided, with_partitions
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
CLEANUP = "cleanup.policy"
MAX_MESSAGE = "max.message.bytes"
BATCH_BYTES = 900_000
"""The largest batch that a worker sends, unless a single record is larger."""
WRITTEN = ("recommendations", "sessions-changelog", "transitions", "model-updates", "model", "dead-letters")
"""The topics that workers write."""


class TopicsError(OuzelError):
    """Kafka rejected a request about topics or groups. The message is one line."""


class MissingTopics(Refused, TopicsError):
    """Topics are missing or not visible to this user. The message says how to create them."""

    def __init__(self, *names: str) -> None:
        super().__init__(missing_topics(names))


@dataclass(frozen=True)
class TopicSpec:
    """The required properties of a topic.

    ``config`` has Kafka's topic options. Its times are in ms and are lower bounds; -1 is unbounded.
    ``extra_config`` has options that a topic also gets when it is created; they are not checked
    later. ``as_events`` says that each event needs the partition of its own number: such topics
    have as many partitions as the events. The number of ``any_count`` is not checked, either.
    ``provided`` says that the topic is the user's own, which Ouzel neither creates nor changes.
    ``largest`` is the size of the largest batch that Ouzel writes to the topic. Kafka's default
    admits it, so it is checked but not set.
    """

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)
    extra_config: dict[str, str] = field(default_factory=dict)
    as_events: bool = False
    any_count: bool = False
    provided: bool = False
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
            {} if settings.is_provided(name) else config,
            longer if config is learning else rolled if name == "model-updates" else {},
            as_events=name in AS_EVENTS,
            any_count=name == ITEMS,
            provided=settings.is_provided(name),
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

    Existing topics stay as they are: see `check_topics`. Raises `Refused` if a topic of the user's
    own is missing, because it is not Ouzel's to create.
    """
    created = []
    client = admin(settings)
    try:
        existing = set(client.list_topics())
        own = [settings.topic(name) for name in PROVIDABLE if settings.is_provided(name)]
        settings = with_partitions(settings, partition_counts(client, own))
        for spec in topic_specs(settings):
            if spec.provided or spec.name in existing:
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
    """Raise `MissingTopics` if one of these topics is missing, `Refused` for one of the user's own.

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
    for name in names:
        if settings.is_provided(name) and settings.topic(name) not in existing:
            raise Refused(missing_provided(settings, name))
    if missing := [topic for name in names if (topic := settings.topic(name)) not in existing]:
        raise MissingTopics(*missing)


def require_provided(settings: Settings) -> None:
    """Raise `Refused` if the settings do not fit the user's own topics; see `with_partitions`."""
    client = admin(settings)
    try:
        counts = partition_counts(client, [settings.topic(name) for name in PROVIDABLE])
    except KafkaError as error:
        raise TopicsError(f"topics could not be listed: {in_one_line(error)}") from error
    finally:
        client.close()
    with_partitions(settings, counts)


def missing_topics(names: Sequence[str]) -> str:
    """Return the message for topics that are missing, in one line."""
    subject = f"topic {names[0]} is" if len(names) == 1 else f"topics {', '.join(names)} are"
    return f"{subject} missing or not visible to this user; `ouzel topics create` creates the missing topics"


def as_described(settings: Settings, states: Mapping[str, TopicState | None]) -> Settings:
    """Do the same as `with_partitions`, for a result of `describe_topics`."""
    return with_partitions(settings, {name: state.partitions for name, state in states.items() if state is not None})


def partition_counts(client: KafkaAdminClient, names: Collection[str]) -> dict[str, int]:
    """Return the number of partitions of each existing one of these topics.

    Raises ``KafkaError``.
    """
    present = sorted(set(client.list_topics()).intersection(names)) if names else []
    return {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(present)} if present else {}


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

    If the broker does not report it, it is taken to be a week. A topic that is only compacted keeps
    the last event of each key.
    """
    state = states[settings.topic("events")]
    config = (state and state.config) or {}
    retention_ms = int(config.get("retention.ms", 7 * DAY_MS))
    return None if retention_ms < 0 or "delete" not in config.get(CLEANUP, "delete") else retention_ms


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
