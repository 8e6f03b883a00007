"""`ouzel reset`: deletes the sessions: local state, their changelog, and the group's offsets."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from serving.errors import CliError
from serving.groups import group_states, refuse_while_live
from serving.options import Broker, settings_with
from serving.terminal import confirm, say
from streams.data_dir import clear, lock
from streams.kafka.connection import in_one_line
from streams.kafka.topics import TopicsError, admin, create_topics, require_provided

DELETED_WITHIN_S = 20.0
SHOWN = 5
"""How many files that are not Ouzel's are named."""


def register(app: typer.Typer) -> None:
    app.command("reset")(reset)


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    broker: Broker = None,
) -> None:
    """Delete the sessions, so that workers read every event again from the start.

    Stop the workers first.
    This deletes Ouzel's files in the data directory, the changelog topic and the group's offsets.
    It keeps the model, the events and the items.
    """
    settings = settings_with(broker)
    changelog = settings.topic("sessions-changelog")
    what = f"the data directory {settings.data_dir}, the topic {changelog} and the offsets of group {settings.app_id}"
    if not yes:
        confirm(f"Delete {what}, and read every event again?")
    require_provided(settings)
    refuse_while_live(settings)
    if settings.data_dir.is_dir():
        lock(settings.data_dir).close()  # raises an error if a worker uses it that is not in the group yet
    client = admin(settings)
    try:
        if settings.app_id in group_states(client):
            client.delete_groups([settings.app_id])
        if changelog in client.list_topics():
            client.delete_topics([changelog])
            _wait_deleted(client, changelog)
    except KafkaError as error:
        raise TopicsError(f"the reset is not complete: {in_one_line(error)}; run `ouzel reset` again") from error
    finally:
        client.close()
    create_topics(settings)
    kept = clear(settings.data_dir) if settings.data_dir.is_dir() else []
    say(f"deleted {what}")
    if kept:
        say(f"kept what is not Ouzel's in {settings.data_dir}: {', '.join(kept[:SHOWN])}{', ...' if kept[SHOWN:] else ''}")


def _wait_deleted(client: KafkaAdminClient, topic: str) -> None:
    """Wait until the topic is deleted.

    Kafka confirms a deletion before it has deleted the topic. A topic that is created again too
    soon would be deleted, too.
    """
    until = time.monotonic() + DELETED_WITHIN_S
    while topic in client.list_topics():
        if time.monotonic() > until:
            raise CliError(f"topic {topic} still exists after {DELETED_WITHIN_S:.0f} s; run `ouzel reset` again")
        time.sleep(0.1)
