"""The workers' consumer group, as the tools see it."""

from __future__ import annotations

from typing import Any

from serving.commands import CliError
from streams.kafka.topics import admin
from streams.settings import Settings

LIVE = ("Stable", "PreparingRebalance", "CompletingRebalance")


def refuse_while_live(settings: Settings) -> None:
    """Raises `CliError` while workers run."""
    client = admin(settings)
    try:
        groups = group_states(client)
    finally:
        client.close()
    if groups.get(settings.app_id) in LIVE:
        raise CliError(f"group {settings.app_id} has live members: stop the workers first", 1)


def group_states(client: Any) -> dict[str, str]:
    """The state of every group by its name."""
    return {group["group_id"]: group.get("group_state", "") for group in client.list_groups()}
