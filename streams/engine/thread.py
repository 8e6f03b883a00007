"""The thread that talks to the group: its heartbeats renew the lease, and it leaves in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, Response
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine import upstream
from streams.engine.fetching import Fetching
from streams.engine.lease import Lease
from streams.engine.records import read_raw
from streams.engine.upstream import Reading
from streams.kafka.membership import FENCED_INSTANCE_ID, NO_MEMBER, InstanceTaken
from streams.kafka.reading import prepare
from streams.kafka.retry import TEMPORARY, patiently

if TYPE_CHECKING:  # the app imports this module
    from streams.engine.faust_app import App

RECOVERY_POLL_RECORDS = 20_000
REBALANCED_WITHIN_S = 2.0


def note_answer(lease: Lease, sent_at: float, error_code: int) -> None:
    """Renew or end the lease by the coordinator's answer to a heartbeat, or to the end of a join.

    ``sent_at`` is when the request was sent. The answer "rebalancing" does not renew the lease:
    the group still counts us as a member, but removes a member that does not rejoin in time, even
    if it sends heartbeats. A unit may continue for as long as the last answer without error allows.
    """
    if error_code == 0:
        lease.beat(sent_at)
    elif error_code in NO_MEMBER:
        lease.reset()


def renew_by_answers(coordinator: GroupCoordinator, lease: Lease) -> None:
    """Have the group's answers to heartbeats and joins renew the lease, or end it.

    The lease counts from the time when the confirmed request was *sent*.
    """

    def renewing(send: upstream.Send) -> upstream.Send:
        async def send_request(request: Request) -> Response:
            sent_at = lease.clock()
            response = await send(request)
            if isinstance(request, HeartbeatRequest | SyncGroupRequest):
                note_answer(lease, sent_at, response.error_code)
            return response

        return send_request

    upstream.wrap_requests(coordinator, renewing)


async def leave_group(coordinator: GroupCoordinator, within_s: float) -> None:
    """Close aiokafka's coordinator, which leaves the group unless this is a static member.

    A rebalance under way may end first. If the group delays our join for longer than ``within_s``
    seconds, the join is cancelled, and we leave on another connection.
    """
    closing, rejoining = asyncio.ensure_future(coordinator.close()), upstream.coordination_task(coordinator)
    await asyncio.wait({closing}, timeout=within_s)
    if closing.done():
        closing.result()
        return
    rejoining.cancel()
    closing.cancel()
    await asyncio.wait({closing, rejoining}, timeout=within_s / 2)
    if coordinator.member_id and not upstream.is_static(coordinator):
        # on another connection, because a broker does not read from one whose join it delays
        request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(upstream.client_of(coordinator).send(coordinator.coordinator_id, request), within_s / 2)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Runs aiokafka's consumer in a thread and an event loop of its own, beside the work."""

    app: App
    _fetching: Fetching
    _joined = False
    """Whether the group has accepted this worker since it last had no member id."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """Set our fetch wait and isolation level, pass damaged batches, and stop without Kafka.

        Upstream hard-codes a wait of 1500 ms, and reads aborted transactions.
        """
        consumer = prepare(super()._create_worker_consumer(transport))
        upstream.set_fetching(consumer, self.app.fetch_waits.short_ms, self.app.isolation_level)
        self._fetching = Fetching(consumer, self.app.fetch_waits)
        return consumer

    async def _highwaters(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """Return the ends of the logs, including open transactions.

        Upstream would return the last stable offsets. But recovery must not end before the outcome
        of an open transaction is known.
        """
        return await upstream.log_ends(self._ensure_consumer(), partitions)

    @property
    def begun(self) -> bool:
        """Whether aiokafka's consumer has started: before that it knows nothing."""
        return self._consumer is not None and upstream.has_started(self._consumer)

    @property
    def member_id(self) -> str:
        """The id of this worker in the group."""
        return str(upstream.coordinator_of(self._ensure_consumer()).member_id)

    def fetched(self, tp: TP) -> Reading:
        """Return the offsets of a partition that aiokafka knows.

        Reads aiokafka's state from outside its thread, as upstream reads the assignment: a call to
        the thread may wait for a rebalance, and fails after one.
        """
        at = upstream.reading(self._ensure_consumer(), tp)
        return at._replace(stable=at.end) if self.app.isolation_level == "read_uncommitted" else at

    def trouble(self) -> BaseException | None:
        """Return the error that has ended this consumer, if it has ended.

        aiokafka keeps the error for a call that Faust never makes.
        """
        consumer = self._ensure_consumer()
        ended = [task for task in upstream.background_tasks(consumer) if task.done() and not task.cancelled()]
        # A task without an error may have ended because of the error of another one.
        error = next(filter(None, (task.exception() for task in ended)), None) or upstream.pending_error(consumer)
        return error or (RuntimeError("aiokafka's consumer has ended") if ended else None)

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:
        """Read more records per poll in recovery; upstream reads at most those of a unit."""
        read = self._read_changelogs if self.app.in_recovery else self._read_events
        records: RecordMap = await self.call_thread(read, active_partitions, timeout)
        return records

    async def _read_changelogs(self, active: set[TP], timeout: float) -> RecordMap:
        self._fetching.resume_briefly()
        return await self._fetch_records(self._ensure_consumer(), active, timeout=timeout, max_records=RECOVERY_POLL_RECORDS)

    async def _read_events(self, active: set[TP], timeout: float) -> RecordMap:
        """Read one unit of work. See `Fetching`."""
        most = self.app.conf.broker_max_poll_records
        self._fetching.resume()
        records: RecordMap = await self._fetch_records(self._ensure_consumer(), active, timeout=timeout, max_records=most)
        self._fetching.polled(sum(map(len, records.values())), most)
        return records

    def fetch_ahead(self) -> None:
        """Fetch the next events already, because the unit in flight takes long."""
        with suppress(RuntimeError):  # this thread has ended
            self.thread_loop.call_soon_threadsafe(self._fetching.resume_briefly)

    async def on_start(self) -> None:
        """Also make slim records, and renew the lease by the group's answers.

        While Kafka is away, this waits; upstream would end the process.
        """
        try:
            await super().on_start()
        except TEMPORARY:
            await patiently(self._ensure_consumer().start, "the consumer")
        consumer = self._ensure_consumer()
        read_raw(upstream.fetcher_of(consumer), self._is_read_by_us)

        def refusing(send: upstream.Send) -> upstream.Send:
            async def send_request(request: Request) -> Response:
                if isinstance(request, JoinGroupRequest):
                    await self._refuse_if_taken()
                response = await send(request)
                if isinstance(request, HeartbeatRequest | SyncGroupRequest):
                    self._joined |= response.error_code == 0
                if getattr(response, "error_code", 0) == FENCED_INSTANCE_ID:
                    self._fail_taken()
                return response

            return send_request

        renew_by_answers(upstream.coordinator_of(consumer), self.app.lease)
        upstream.wrap_requests(upstream.coordinator_of(consumer), refusing)

    async def _refuse_if_taken(self) -> None:
        """End the process if another one has taken our place as a static member.

        Call it before each join. To join would take the place back, and the two processes would
        replace each other for ever. A member without an id was replaced, or was removed because it
        had sent no heartbeat; only in the first case does the group have a member of our name. Only
        the first join is checked, because its answer may be lost, and then that member is us.
        """
        if self._joined and not self.member_id and upstream.is_static(upstream.coordinator_of(self._ensure_consumer())):
            self._joined = False
            if await asyncio.to_thread(self.app.instance_taken):
                self._fail_taken()

    def _fail_taken(self) -> None:
        conf = self.app.conf
        self.app.fail_stop(InstanceTaken(conf.id, conf.consumer_group_instance_id))

    def _is_read_by_us(self, tp: TP) -> bool:
        """Return whether our code reads a partition's records; Faust's code reads the others."""
        return tp.topic == self.app.events_name or tp.topic in self.app.tables.changelog_topics

    async def on_thread_stop(self) -> None:
        """Leave the group while this thread still answers calls.

        Upstream ends the calls first. But a rebalance under way may make a call, and the consumer
        would wait for ever for the end of that rebalance.
        """
        try:
            if self.begun:
                await leave_group(upstream.coordinator_of(self._ensure_consumer()), REBALANCED_WITHIN_S)
        finally:
            await super().on_thread_stop()
