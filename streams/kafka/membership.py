"""Membership of a consumer group: who is a member, and the error codes for a client that is not."""

from __future__ import annotations

from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError
from kafka.errors import KafkaError

from streams.errors import KafkaAway, Refused
from streams.kafka.topics import admin
from streams.settings import Settings, SettingsError

FENCED_INSTANCE_ID = 82
"""Error code for a static member that another process has replaced. aiokafka does not name it."""
NO_MEMBER = (IllegalGenerationError.errno, UnknownMemberIdError.errno, FENCED_INSTANCE_ID)
"""The errors for a client that is not a member of the group in its current generation."""


class InstanceTaken(Refused):
    """Another process is the static member that this one was. The message is one line."""

    def __init__(self, group: str, instance_id: str) -> None:
        super().__init__(
            f"OUZEL_INSTANCE_ID: another process has joined group {group} as {instance_id}, and has taken this one's place. Give "
            "each worker an OUZEL_INSTANCE_ID of its own, then start this one again"
        )


def is_member(settings: Settings) -> bool:
    """Return whether the group has a static member with our instance id.

    Returns False if the group does not answer. This blocks, so call it in a thread of its own.
    """
    try:
        client = admin(settings)
        try:
            group = client.describe_groups([settings.app_id])[settings.app_id]
        finally:
            client.close()
    except (KafkaError, KafkaAway, SettingsError):  # a certificate file may have been removed since the start
        return False
    return any(member.get("group_instance_id") == settings.instance_id for member in group["members"])
