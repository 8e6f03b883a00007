"""The private parts of Faust and aiokafka that Ouzel uses, each behind a named function.

Written for aiokafka 0.14.0, faust-streaming 0.15.3 and mode-streaming 0.7.1. `RELIED_ON` names the
definitions upstream that these functions depend on; `tests/streams/engine/test_upstream.py` fails
when the source of one of them changes. Overrides of private methods stay in our subclasses.

This module loads no Faust, because `ouzel serve` uses it too and has to start fast.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.api import Request, Response
from aiokafka.structs import ConsumerRecord, TopicPartition

from streams.kafka.outbox import Headers

if TYPE_CHECKING:
    from faust import App
    from faust.stores.rocksdb import Store
    from faust.types import TP
    from faust.types.tables import CollectionT
    from faust.types.transports import ConsumerT
    from mode import Service, ServiceT
    from rocksdict import Rdict

READ_UNCOMMITTED = 0
RELIED_ON = (
    ("aiokafka.client.AIOKafkaClient", "_maybe_wait_metadata _wait_on_metadata force_metadata_update"),
    ("aiokafka.consumer.consumer.AIOKafkaConsumer", "__init__ start"),
    ("aiokafka.consumer.fetcher.FetchResult", "__init__"),
    ("aiokafka.consumer.fetcher.Fetcher", "__init__ _proc_fetch_request end_offsets"),
    ("aiokafka.consumer.fetcher.PartitionRecords", "_consumer_record _unpack_records"),
    ("aiokafka.consumer.group_coordinator.BaseCoordinator", "__init__"),
    ("aiokafka.consumer.group_coordinator.GroupCoordinator", "__init__ _do_heartbeat _push_error_to_user _send_req close"),
    ("aiokafka.consumer.subscription_state.TopicPartitionState", "__init__"),
    ("aiokafka.producer.message_accumulator.BatchBuilder", "__init__ append record_count"),
    ("aiokafka.producer.message_accumulator.MessageAccumulator", "add_batch fail_all reenqueue"),
    ("aiokafka.producer.producer.AIOKafkaProducer", "__init__ stop"),
    ("aiokafka.producer.sender.Sender", "__init__ sender_task"),
    ("aiokafka.producer.transaction_manager.TransactionManager", "__init__ add_offsets_to_txn offset_committed"),
    ("faust.app.base.App", "_fetcher"),
    ("faust.stores.rocksdb.Store", "__init__ _db_for_partition"),
    ("faust.transport.consumer.Consumer", "_commit_offsets force_commit"),
    ("faust.transport.consumer.ConsumerThread", "on_partitions_assigned"),
    ("mode.services.Service", "__init__ crash should_stop"),
)
"""Classes upstream, and what this module and `App._crash` rely on in them without an override."""

SenderKind = TypeVar("SenderKind", bound=Sender)
Append = Callable[[int, int, bytes | None, bytes | None, Headers], object]
Send = Callable[[Request], Awaitable[Response]]


# aiokafka's producer


def batch_append(batch: BatchBuilder) -> Append:
    """The encoder's ``append(index, epoch ms, key, value, headers)``; it returns ``None`` if full.

    `BatchBuilder._builder`. The public `append` around it costs more per record than the encoding.
    """
    append: Append = batch._builder.append
    return append


def close_batch(batch: BatchBuilder, count: int) -> None:
    """Close a batch that `batch_append` has filled: sets `BatchBuilder._relative_offset`."""
    batch._relative_offset = count
    batch.close()


def sender_of(producer: AIOKafkaProducer) -> Sender:
    """The sender, which makes the requests: `AIOKafkaProducer._sender`."""
    return producer._sender


def become(producer: AIOKafkaProducer, kind: type[SenderKind]) -> SenderKind:
    """Change the class of the producer's sender to ours, and return the sender.

    `AIOKafkaProducer._sender`. aiokafka creates the sender itself and has no setting for its class.
    """
    sender: SenderKind = producer._sender
    sender.__class__ = kind
    return sender


def sender_task(producer: AIOKafkaProducer) -> asyncio.Task[None] | None:
    """The task that sends, if started; when it ends, the producer accepts nothing: `_sender`."""
    task: asyncio.Task[None] | None = producer._sender.sender_task
    return task


def set_transaction_timeout(producer: AIOKafkaProducer, timeout_ms: int) -> None:
    """Set when the broker aborts an open transaction: `AIOKafkaProducer._txn_manager`."""
    producer._txn_manager.transaction_timeout_ms = timeout_ms


def on_retry(producer: AIOKafkaProducer, call: Callable[[], None]) -> None:
    """Call ``call`` before each retry of a batch: wraps `MessageAccumulator.reenqueue`."""
    accumulator = producer._message_accumulator
    reenqueue = accumulator.reenqueue

    def counted(batch: object) -> None:
        call()
        reenqueue(batch)

    accumulator.reenqueue = counted


def take_no_more(producer: AIOKafkaProducer, add_batch: Callable[..., Awaitable[None]]) -> None:
    """Close a producer without flushing it: sets `_closed` of it and of its `_message_accumulator`.

    ``add_batch`` replaces the accumulator's, which callers may be about to call.
    """
    producer._closed = True
    producer._message_accumulator._closed = True
    producer._message_accumulator.add_batch = add_batch


def fail_unsent(producer: AIOKafkaProducer, error: BaseException) -> None:
    """Fail every batch that is not confirmed: `AIOKafkaProducer._message_accumulator`."""
    producer._message_accumulator.fail_all(error)


def metadata_update(client: AIOKafkaClient) -> asyncio.Future[bool] | None:
    """The future of the metadata update under way, if any: `AIOKafkaClient._md_update_fut`."""
    update: asyncio.Future[bool] | None = client._md_update_fut
    return update


def transaction_manager(sender: Sender) -> TransactionManager:
    """The state of the open transaction: `Sender._txn_manager`."""
    return sender._txn_manager


def take_pending_offsets(sender: Sender) -> asyncio.Future[None]:
    """Remove the offsets that wait to be committed, and return the future that their caller awaits.

    They are the oldest of `TransactionManager._pending_txn_offsets`.
    """
    _, _, future = sender._txn_manager._pending_txn_offsets.popleft()
    return cast(asyncio.Future[None], future)


# aiokafka's consumer


class Reading(NamedTuple):
    """Offsets of a partition, if known: next to poll, end of the log, and end of the committed."""

    position: int | None = None
    end: int | None = None
    stable: int | None = None


def has_started(consumer: AIOKafkaConsumer) -> bool:
    """Whether the consumer has a coordinator and a fetcher: `AIOKafkaConsumer._coordinator`."""
    return consumer._coordinator is not None


def coordinator_of(consumer: AIOKafkaConsumer) -> GroupCoordinator:
    """The part of a started consumer that talks to the group: `AIOKafkaConsumer._coordinator`."""
    return consumer._coordinator


def fetcher_of(consumer: AIOKafkaConsumer) -> Fetcher:
    """The part of a started consumer that fetches: `AIOKafkaConsumer._fetcher`."""
    return consumer._fetcher


def set_fetching(consumer: AIOKafkaConsumer, max_wait_ms: int, isolation_level: str) -> None:
    """Set `_fetch_max_wait_ms` and `_isolation_level` of a consumer that is not started."""
    consumer._fetch_max_wait_ms = max_wait_ms
    consumer._isolation_level = isolation_level


async def log_ends(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> Mapping[TP, int]:
    """The ends of some partitions' logs, open transactions included.

    aiokafka reports the last stable offset to a consumer that reads committed records only, so
    this uses a copy of its fetcher: `_fetcher`, `Fetcher._isolation_level`, `_request_timeout_ms`.
    """
    fetcher = copy.copy(consumer._fetcher)
    fetcher._isolation_level = READ_UNCOMMITTED
    ends: Mapping[TP, int] = await fetcher.end_offsets(list(partitions), consumer._request_timeout_ms)
    return ends


def reading(consumer: AIOKafkaConsumer, tp: TopicPartition) -> Reading:
    """Return what the consumer knows of a partition; safe in any thread.

    `AIOKafkaConsumer._subscription` and `TopicPartitionState._position`: the public `position`
    waits for a rebalance, and fails for a partition that is not assigned.
    """
    subscription = consumer._subscription.subscription
    state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
    return Reading(state._position, state.highwater, state.lso) if state else Reading()


def background_tasks(consumer: AIOKafkaConsumer) -> tuple[asyncio.Task[None], asyncio.Task[None]]:
    """The tasks that keep the membership and that fetch; neither ends before the consumer does.

    `GroupCoordinator._coordination_task` and `Fetcher._fetch_task`.
    """
    return consumer._coordinator._coordination_task, consumer._fetcher._fetch_task


def pending_error(consumer: AIOKafkaConsumer) -> BaseException | None:
    """The error that aiokafka keeps for the next call: `GroupCoordinator._pending_exception`."""
    error: BaseException | None = consumer._coordinator._pending_exception
    return error


def coordination_task(coordinator: GroupCoordinator) -> asyncio.Task[None]:
    """The task that joins, rejoins and commits: `GroupCoordinator._coordination_task`."""
    return cast(asyncio.Task[None], coordinator._coordination_task)


def is_static(coordinator: GroupCoordinator) -> bool:
    """Whether this is a static member of the group: `GroupCoordinator._group_instance_id`."""
    return coordinator._group_instance_id is not None


def client_of(coordinator: GroupCoordinator) -> AIOKafkaClient:
    """The client whose connections the coordinator uses: `GroupCoordinator._client`."""
    return coordinator._client


def wrap_requests(coordinator: GroupCoordinator, wrap: Callable[[Send], Send]) -> None:
    """Wrap the method that sends each request to the group: `GroupCoordinator._send_req`."""
    coordinator._send_req = wrap(coordinator._send_req)


def make_records(
    fetcher: Fetcher, make: Callable[[TopicPartition, ConsumerRecord], object], wanted: Callable[[TopicPartition], bool]
) -> None:
    """Have a fetcher make its records of wanted partitions by ``make(partition, parsed record)``.

    Wraps `Fetcher._proc_fetch_request`, which adds to `Fetcher._records`, and replaces
    `PartitionRecords._consumer_record`. No result is read before the request's coroutine ends, so
    the replacement comes in time.
    """
    process = fetcher._proc_fetch_request

    async def proc_fetch_request(*request: object) -> bool:
        woken: bool = await process(*request)
        for tp, result in fetcher._records.items():
            if type(result) is FetchResult and result._partition_records is not None and wanted(tp):
                result._partition_records._consumer_record = make
        return woken

    fetcher._proc_fetch_request = proc_fetch_request


# Faust and mode


async def start_fetcher(app: App) -> None:
    """Start the service that polls, unless it is running: `App._fetcher`."""
    await app._fetcher.maybe_start()


def committed_offsets(consumer: ConsumerT) -> dict[TP, int | None]:
    """A copy of the committed offsets that Faust knows of: `Consumer._committed_offset`."""
    return dict(cast("dict[TP, int | None]", consumer._committed_offset))  # type: ignore[attr-defined]


def stop_flag(service: ServiceT) -> Callable[[], bool]:
    """A function that returns whether the service was stopped, not crashed: `Service._stopped`."""
    return cast("Service", service)._stopped.is_set


def store_of(table: CollectionT) -> Store:
    """A table's RocksDB store. Public, but Faust's types know only the base class of all stores."""
    return cast("Store", table.data)  # type: ignore[attr-defined]


def databases(table: CollectionT) -> Callable[[int], Rdict]:
    """The function that opens or returns a partition's database: `Store._db_for_partition`."""
    return store_of(table)._db_for_partition


def open_databases(table: CollectionT) -> Mapping[int, Rdict]:
    """The databases that are open, by partition: `Store._dbs`."""
    return store_of(table)._dbs
