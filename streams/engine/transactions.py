"""Offsets in a transaction that are refused from whoever is no member of the present generation (KIP-447).

aiokafka speaks version 0 of TxnOffsetCommit, which tells no generation, and which the broker accepts from anybody.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from aiokafka.client import CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError, IllegalGenerationError, UnknownMemberIdError
from aiokafka.producer.sender import BACKOFF_OVERRIDE, AddPartitionsToTxnHandler, Sender, TxnOffsetCommitHandler
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from streams.errors import Abandoned

FENCED_INSTANCE_ID = 82
NO_MEMBER = (IllegalGenerationError.errno, UnknownMemberIdError.errno, FENCED_INSTANCE_ID)
SOON_S = 0.003
_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class Membership(NamedTuple):
    """As whom offsets are committed."""

    generation: int
    member_id: str
    instance_id: str | None


class FencedOffsetsResponse(Response):  # type: ignore[misc]
    """TxnOffsetCommit, version 3."""

    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "errors",
            CompactArray(
                ("topic", _TEXT), ("partitions", CompactArray(("partition", Int32), ("error_code", Int16), _TAGS)), _TAGS
            ),
        ),
        _TAGS,
    )


class FencedOffsetsStruct(RequestStruct):  # type: ignore[misc]
    """TxnOffsetCommit, version 3."""

    API_KEY = 28
    API_VERSION = 3
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = FencedOffsetsResponse
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", _TEXT),
        ("group_instance_id", _TEXT),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT), _TAGS),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class FencedOffsetsRequest(Request[FencedOffsetsStruct]):  # type: ignore[misc]
    """Builds the one version that will do."""

    API_KEY = 28

    def __init__(self, *fields: Any) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[FencedOffsetsStruct]) -> FencedOffsetsStruct:
        return request_struct_class(*self._fields)


class FencedOffsets(TxnOffsetCommitHandler):  # type: ignore[misc]
    """Commits as a member, and tells when it is none any more."""

    def create_request(self) -> FencedOffsetsRequest:
        manager, member = self._sender._txn_manager, self._sender.membership
        of_topic: dict[str, list[Any]] = defaultdict(list)
        for tp, told in sorted(self._offsets.items()):
            of_topic[tp.topic].append((tp.partition, told.offset, -1, told.metadata, {}))
        return FencedOffsetsRequest(
            manager.transactional_id,
            self._group_id,
            manager.producer_id,
            manager.producer_epoch,
            *member,
            [(topic, partitions, {}) for topic, partitions in of_topic.items()],
            {},
        )

    def handle_response(self, response: Any) -> Any:
        """A refusal fails the offsets alone: aiokafka's own abortable error forgets to abort on the broker."""
        errors = [(topic, [(partition, code) for partition, code, _ in found]) for topic, found, _ in response.errors]
        if any(code in NO_MEMBER for _, found in errors for _, code in found):
            _, _, future = self._sender._txn_manager._pending_txn_offsets.popleft()
            future.set_exception(Abandoned())
            return None
        response.errors = errors
        return super().handle_response(response)


class SoonAgain(AddPartitionsToTxnHandler):  # type: ignore[misc]
    """Asks again soon while the last transaction's markers are being written: a few ms, and aiokafka waits 20."""

    def handle_response(self, response: Any) -> Any:
        wait_s = super().handle_response(response)
        return SOON_S if wait_s == BACKOFF_OVERRIDE else wait_s


class FencedSender(Sender):  # type: ignore[misc]
    """A sender that commits offsets as a member of the group."""

    membership: Membership

    async def _do_add_partitions_to_txn(self, tps: Any) -> Any:
        node_id = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        return await SoonAgain(self, tps).do(node_id)

    async def _do_txn_offset_commit(self, offsets: Any, group_id: str) -> None:
        if not offsets:
            return
        try:
            node_id = await self._find_coordinator(CoordinationType.GROUP, group_id)
        except GroupAuthorizationFailedError as error:
            self._txn_manager.error_transaction(error)
            return
        await FencedOffsets(self, offsets, group_id).do(node_id)
