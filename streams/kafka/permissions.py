"""What Kafka must let a worker do, and which of it this one may not: told at the start, not at the first fail-over.

A worker that may not read the changelog runs well until it has to recover from it, and one that may not join its group asks
again for ever. docs/operations.md has the same list for whoever grants it.
"""

from __future__ import annotations

from collections.abc import Mapping

from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, KafkaError

from streams.kafka.connection import in_one_line
from streams.kafka.topics import TopicsError, TopicState, admin
from streams.settings import Settings

ASKED = {
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
"""By topic, in Kafka's words; DESCRIBE follows from each. DELETE is for the records of old snapshots."""
OF_EACH = "DESCRIBE_CONFIGS"


class NotAllowed(Exception):
    """Kafka does not let this user do what a worker must; one line."""


def not_allowed(settings: Settings, states: Mapping[str, TopicState | None]) -> list[str]:
    """What a worker must be allowed and is not, a line each. ``states`` are as `describe_topics` tells them.

    A broker that does not tell, as the embedded one, is taken to allow everything.
    """
    problems = []
    for name, asked in ASKED.items():
        if lacking := _lacking(states[settings.topic(name)], asked):
            problems.append(f"{settings.topic(name)}: this user may not {', '.join(lacking)}")
    if any(state is not None and state.allowed is not None for state in states.values()) and not _may_join(settings):
        problems.append(f"group {settings.app_id}: this user may not READ")
    return [f"{problem}; docs/operations.md has the list of what a worker needs" for problem in problems]


def _lacking(state: TopicState | None, asked: tuple[str, ...]) -> list[str]:
    if state is None or state.allowed is None:
        return []
    return [operation for operation in (*asked, OF_EACH) if operation not in state.allowed]


def _may_join(settings: Settings) -> bool:
    client = admin(settings)
    try:
        told = client.describe_groups([settings.app_id])[settings.app_id].get("authorized_operations")
    except GroupAuthorizationFailedError:
        return False
    except CoordinatorNotAvailableError:  # the first group of a new cluster; it had been refused before this
        return True
    except KafkaError as error:
        raise TopicsError(f"group {settings.app_id} could not be described: {in_one_line(error)}") from error
    finally:
        client.close()
    return not told or "READ" in told
