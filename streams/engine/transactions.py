"""Commits offsets in a transaction in the name of a member of the group (KIP-447).

The broker rejects the offsets if that client is not a member in the current generation. aiokafka
uses version 0 of TxnOffsetCommit, which names no generation, so the broker accepts it from any
client. This module uses version 3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.client import CoordinationType
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.producer.sender import BACKOFF_OVERRIDE, AddPartitionsToTxnHandler, Sender, TxnOffsetCommitHandler
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from streams.engine import upstream
from streams.errors import Abandoned
from streams.kafka.membership import NO_MEMBER

SOON_S = 0.003
_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)


class Membership(NamedTuple):
    """The member of the group in whose name offsets are committed."""

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
    """Builds version 3 of the request, and no other."""

    API_KEY = 28

    def __init__(self, *fields: object) -> None:
        self._fields = fields

    def build(self, request_struct_class: type[FencedOffsetsStruct]) -> FencedOffsetsStruct:
        """Fill in the fields; aiokafka calls this once it knows which versions the broker takes."""
        return request_struct_class(*self._fields)


class FencedOffsets(TxnOffsetCommitHandler):  # type: ignore[misc]
    """Commits offsets in the name of a member, and fails them if it is no longer one."""

    def create_request(self) -> FencedOffsetsRequest:
        """Build version 3, with the membership, in place of upstream's version 0."""
        manager, member = upstream.transaction_manager(self._sender), self._sender.membership
        of_topic: dict[str, list[tuple[int, int, int, str, dict[int, bytes]]]] = defaultdict(list)
        offsets: list[tuple[TopicPartition, OffsetAndMetadata]] = sorted(self._offsets.items())
        for tp, committed in offsets:
            of_topic[tp.topic].append((tp.partition, committed.offset, -1, committed.metadata, {}))
        return FencedOffsetsRequest(
            manager.transactional_id,
            self._group_id,
            manager.producer_id,
            manager.producer_epoch,
            *member,
            [(topic, partitions, {}) for topic, partitions in of_topic.items()],
            {},
        )

    def handle_response(self, response: FencedOffsetsResponse) -> float | None:
        """Fail the offsets as `Abandoned` if they are rejected because we are not a member.

        Upstream does not know these error codes, and its own abortable error would not abort the
        transaction on the broker. Returns the seconds until the next attempt, if there is one.
        """
        errors = [(topic, [(partition, code) for partition, code, _ in of_topic]) for topic, of_topic, _ in response.errors]
        if any(code in NO_MEMBER for _, of_topic in errors for _, code in of_topic):
            upstream.take_pending_offsets(self._sender).set_exception(Abandoned())
            return None
        response.errors = errors
        wait_s: float | None = super().handle_response(response)
        return wait_s


class SoonAgain(AddPartitionsToTxnHandler):  # type: ignore[misc]
    """Retries sooner while the broker writes the markers of the last transaction.

    That takes a few milliseconds, but aiokafka waits 20.
    """

    def handle_response(self, response: Response) -> float | None:
        """Shorten that wait. Returns the seconds until the next attempt, if there is one."""
        wait_s: float | None = super().handle_response(response)
        return SOON_S if wait_s == BACKOFF_OVERRIDE else wait_s


class FencedSender(Sender):  # type: ignore[misc]
    """A sender of transactions that commits offsets in the name of a member of the group."""

    membership: Membership

    async def _do_add_partitions_to_txn(self, tps: Iterable[TopicPartition]) -> bool:
        """Do as upstream, but with `SoonAgain`."""
        node_id = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        done: bool = await SoonAgain(self, tps).do(node_id)
        return done

    async def _do_txn_offset_commit(self, offsets: dict[TopicPartition, OffsetAndMetadata], group_id: str) -> None:
        """Do as upstream, but with `FencedOffsets`."""
        if not offsets:
            return
        try:
            node_id = await self._find_coordinator(CoordinationType.GROUP, group_id)
        except GroupAuthorizationFailedError as error:
            self._txn_manager.error_transaction(error)
            return
        await FencedOffsets(self, offsets, group_id).do(node_id)


def commit_as(producer: AIOKafkaProducer, membership: Membership) -> None:
    """Have a producer with a `FencedSender` commit its next offsets in the name of this member."""
    upstream.sender_of(producer).membership = membership
