"""The consumer group of the workers, as the tools see it."""

from __future__ import annotations

from kafka import KafkaAdminClient

from serving.errors import CliError
from streams.kafka.topics import admin
from streams.settings import Settings

LIVE = ("Stable", "PreparingRebalance", "CompletingRebalance")


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
    """Return the state of every group by its name."""
    return {group["group_id"]: group.get("group_state", "") for group in client.list_groups()}
