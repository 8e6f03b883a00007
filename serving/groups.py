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
    """Raise `CliError` if workers are running, or a learner apart."""
    client = admin(settings)
    try:
        groups = group_states(client)
    finally:
        client.close()
    for group, who in ((settings.app_id, "workers"), (settings.learner_group, "learners")):
        if groups.get(group) in LIVE:
            raise CliError(
                f"group {group} has live members: stop the {who} and try again. One that was killed, or that has an "
                f"OUZEL_INSTANCE_ID, stays a member for OUZEL_SESSION_TIMEOUT_S ({settings.session_timeout_s:g} s)"
            )


def group_states(client: KafkaAdminClient) -> dict[str, str]:
    """Return the state of every consumer group in Kafka, by the name of the group."""
    return {group["group_id"]: group.get("group_state", "") for group in client.list_groups()}
