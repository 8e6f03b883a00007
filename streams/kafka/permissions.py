"""Checks at start whether Kafka grants a worker every permission that it needs.

Without this check, a missing permission would show at the worst moment: a worker that may not read
the changelog runs well until it has to recover from it, and one that may not join its group retries
for ever. docs/operations.md lists the same permissions for the person who grants them.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, KafkaError

from streams.errors import Refused
from streams.kafka.connection import in_one_line
from streams.kafka.topics import TopicsError, TopicState, admin
from streams.settings import Settings

NEEDED = {
    "events": ("READ",),
    "items": ("READ",),
    "recommendations": ("WRITE",),
    "sessions-changelog": ("READ", "WRITE"),
    "transitions": ("READ", "WRITE"),
    "model-updates": ("READ", "WRITE"),
    "model": ("READ", "WRITE", "DELETE"),
    "dead-letters": ("WRITE",),
    "learner": ("READ",),
}
"""Kafka's operations by topic; each implies DESCRIBE.

A worker needs DELETE to delete the records of old snapshots.
"""
LEARNER_NEEDS = {name: NEEDED[name] for name in ("model-updates", "model", "learner")} | {"transitions": ("READ",)}
"""What `ouzel learner` needs."""
NEEDED_ON_EACH = "DESCRIBE_CONFIGS"


class NotAllowed(Refused):
    """Kafka denies this user a permission that a worker needs. The message is one line."""


def not_allowed(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """Return the permissions that a worker needs and lacks, one line each.

    ``states`` is the result of `describe_topics`. A broker that does not report permissions, such
    as the embedded one, counts as allowing everything.
    """
    needed = {settings.topic(name): (*operations, NEEDED_ON_EACH) for name, operations in NEEDED.items()}
    return lacking(settings, states, needed, settings.app_id, "a worker")


def lacking(
    settings: Settings, states: Mapping[str, TopicState | None], needed: Mapping[str, tuple[str, ...]], group: str, who: str
) -> list[str]:
    """Return the permissions that this user lacks, one line each.

    ``states`` are those of the topics in ``needed``, which names the operations on each. ``who``
    needs them, and joins ``group``.
    """
    problems = []
    for name, operations in needed.items():
        if missing := _missing(states[name], operations):
            problems.append(f"{name}: this user may not {', '.join(missing)}")
    if any(state is not None and state.allowed is not None for state in states.values()) and not _may_join(settings, group):
        problems.append(f"group {group}: this user may not READ")
    return [f"{problem}; docs/operations.md lists the permissions that {who} needs" for problem in problems]


def read_only(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """Return a line for each topic of the user's own that this user may not write.

    A server that only reads them is useful, so this is no error.
    """
    denied = {"events": "events and deletions of users", "items": "items"}
    return [
        f"{settings.topic(name)}: this user may not WRITE, so this server rejects all {what} that it gets by HTTP"
        for name, what in denied.items()
        if settings.is_provided(name) and "WRITE" in _missing(states[settings.topic(name)], ("WRITE",))
    ]


def _missing(state: TopicState | None, needed: tuple[str, ...]) -> list[str]:
    if state is None or state.allowed is None:
        return []
    return [operation for operation in needed if operation not in state.allowed]


def _may_join(settings: Settings, group: str) -> bool:
    client = admin(settings)
    try:
        allowed = client.describe_groups([group])[group].get("authorized_operations")
    except GroupAuthorizationFailedError:
        return False
    except CoordinatorNotAvailableError:  # the cluster has no group yet; a missing permission comes before this error
        return True
    except KafkaError as error:
        raise TopicsError(f"group {group} could not be described: {in_one_line(error)}") from error
    finally:
        client.close()
    return not allowed or "READ" in allowed
