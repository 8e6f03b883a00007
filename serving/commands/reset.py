"""`ouzel reset`: forget the sessions: local state, their changelog, and the group's offsets."""

from __future__ import annotations

import shutil
import time
from typing import Annotated, Any

import typer
from kafka.errors import KafkaError

from serving.commands import CliError
from serving.groups import group_states, refuse_while_live
from streams.kafka.topics import TopicsError, admin, create_topics
from streams.settings import load_settings

GONE_WITHIN_S = 20.0


def register(app: typer.Typer) -> None:
    app.command("reset")(reset)


def reset(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Delete the sessions: the data directory, the changelog and the group's offsets. Events are then read from the start."""
    settings = load_settings()
    changelog = settings.topic("sessions-changelog")
    what = f"the data directory {settings.data_dir}, the topic {changelog} and the offsets of group {settings.app_id}"
    if not yes:
        typer.confirm(f"Delete {what}, and read every event again?", abort=True)
    refuse_while_live(settings)
    client = admin(settings)
    try:
        if settings.app_id in group_states(client):
            client.delete_groups([settings.app_id])
        if changelog in client.list_topics():
            client.delete_topics([changelog])
            _wait_gone(client, changelog)
    except KafkaError as error:
        raise TopicsError(f"the reset is not complete: {error}") from error
    finally:
        client.close()
    create_topics(settings)
    if settings.data_dir.is_dir():
        shutil.rmtree(settings.data_dir)
    typer.echo(f"deleted {what}")


def _wait_gone(client: Any, topic: str) -> None:
    """Deletion is told before it is done, and a topic made too early would go with it."""
    until = time.monotonic() + GONE_WITHIN_S
    while topic in client.list_topics():
        if time.monotonic() > until:
            raise CliError(f"{topic} is still there after {GONE_WITHIN_S:.0f} s; run `ouzel reset` again", 1)
        time.sleep(0.1)
