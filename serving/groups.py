"""Checks whether workers are running, by the state of their consumer group.

`ouzel reset` and `ouzel model import` need this: they change what running workers use.
"""

from __future__ import annotations

from kafka import KafkaAdminClient

from serving.errors import CliError
from streams.kafka.topics import admin
from streams.settings import Settings

LIVE = ("Stable", "PreparingRebalance", "CompletingRebalance")
"""States of a group that has members."""


def refuse_while_live(settings: Settings) -> None:
    """Raise `CliError` if workers are running."""
    client = admin(settings)
    try:
        groups = group_states(client)
    finally:
        client.close()
    if groups.get(settings.app_id) in LIVE:
        raise CliError(
            f"group {settings.app_id} has live members: stop the workers and try again. A worker that was killed, or that "
            f"has an OUZEL_INSTANCE_ID, stays a member for OUZEL_SESSION_TIMEOUT_S ({settings.session_timeout_s:g} s)"
        )


def group_states(client: KafkaAdminClient) -> dict[str, str]:
    """Return the state of every consumer group in Kafka, by the name of the group."""
    return {group["group_id"]: group.get("group_state", "") for group in client.list_groups()}
