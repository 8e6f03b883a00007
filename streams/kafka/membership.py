"""Membership of a consumer group: how a coordinator says that a client is not a member."""

from __future__ import annotations

from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError

FENCED_INSTANCE_ID = 82
"""Error code for a static member that another process has replaced. aiokafka does not name it."""
NO_MEMBER = (IllegalGenerationError.errno, UnknownMemberIdError.errno, FENCED_INSTANCE_ID)
"""The error codes of a request that comes from no member of the group's current generation."""
