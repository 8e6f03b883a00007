"""Membership of a consumer group: the error codes for a client that is not a member."""

from __future__ import annotations

from aiokafka.errors import IllegalGenerationError, UnknownMemberIdError

FENCED_INSTANCE_ID = 82
"""Error code for a static member that another process has replaced. aiokafka does not name it."""
NO_MEMBER = (IllegalGenerationError.errno, UnknownMemberIdError.errno, FENCED_INSTANCE_ID)
"""The errors for a client that is not a member of the group in its current generation."""
