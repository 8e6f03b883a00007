"""The thread that talks to the group: a short fetch wait, large polls in recovery, and answers that feed the lease."""

from __future__ import annotations

import asyncio
import copy
from contextlib import suppress
from typing import Any

from aiokafka.errors import KafkaError
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.lease import Lease
from streams.engine.records import read_raw
from streams.engine.transactions import NO_MEMBER

RECOVERY_POLL_RECORDS = 20_000
READ_UNCOMMITTED = 0
REBALANCED_WITHIN_S = 2.0


def note_answer(lease: Lease, sent_at: float, error_code: int) -> None:
    """What the coordinator's answer to a heartbeat or to the end of a join means for the lease.

    "Rebalancing" is no renewal, though the group still counts us in: it puts a member out that does not rejoin in time, however
    well its heart beats, so a unit may go on for as long as the last plain answer carries it.
    """
    if error_code == 0:
        lease.beat(sent_at)
    elif error_code in NO_MEMBER:
        lease.reset()


async def leave_group(coordinator: Any, within_s: float) -> None:
    """Close aiokafka's coordinator. A rebalance under way may end before, but the group may hold a join longer than we wait."""
    closing, rejoining = asyncio.ensure_future(coordinator.close()), coordinator._coordination_task
    await asyncio.wait({closing}, timeout=within_s)
    if closing.done():
        closing.result()
        return
    rejoining.cancel()
    closing.cancel()
    await asyncio.wait({closing, rejoining}, timeout=within_s / 2)
    if coordinator.member_id and coordinator._group_instance_id is None:
        # on another connection: from one whose join it holds, a broker reads nothing more
        request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(coordinator._client.send(coordinator.coordinator_id, request), within_s / 2)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Runs aiokafka's consumer beside the event loop that works."""

    app: Any

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Upstream hard-codes a fetch wait of 1500 ms, and what is aborted is nothing that happened."""
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self.app.fetch_max_wait_ms
        consumer._isolation_level = self.app.isolation_level
        return consumer

    async def _highwaters(self, partitions: Any) -> Any:
        """The ends of the logs, open transactions included: recovery must not end before their outcome is known.

        aiokafka would tell the last stable offset to a consumer that reads what is committed.
        """
        consumer = self._ensure_consumer()
        fetcher = copy.copy(consumer._fetcher)
        fetcher._isolation_level = READ_UNCOMMITTED
        return await fetcher.end_offsets(list(partitions), consumer._request_timeout_ms)

    def fetched(self, tp: TP) -> tuple[int | None, int | None, int | None]:
        """The next offset that a poll takes, the end of the log, and that of what can be read, as far as they are known.

        Read beside this thread, as upstream reads the assignment: a call to it may wait for a rebalance, and fails after one.
        """
        subscription = self._ensure_consumer()._subscription.subscription
        state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
        if not state:
            return None, None, None
        end = state.highwater
        return state._position, end, end if self.app.isolation_level == "read_uncommitted" else state.lso

    def trouble(self) -> BaseException | None:
        """Why this consumer does no more: aiokafka keeps it for a call that Faust never makes."""
        consumer = self._ensure_consumer()
        coordinator, fetcher = consumer._coordinator, consumer._fetcher
        for task in (coordinator._coordination_task, fetcher._fetch_task):
            if task.done() and not task.cancelled():
                return task.exception() or RuntimeError("aiokafka's consumer has ended")
        return coordinator._pending_exception  # type: ignore[no-any-return]

    async def getmany(self, active_partitions: Any, timeout: float) -> Any:
        """Recovery reads far more per poll than a unit of work may hold."""
        consumer = self._ensure_consumer()
        most = RECOVERY_POLL_RECORDS if self.app.in_recovery else consumer._max_poll_records
        return await self.call_thread(self._fetch_records, consumer, active_partitions, timeout=timeout, max_records=most)

    async def on_start(self) -> None:
        """Remember when the last request was *sent* in answer to which the group confirmed our membership."""
        await super().on_start()
        consumer = self._ensure_consumer()
        read_raw(consumer._fetcher, lambda tp: tp.topic == self.app.events_name or self.consumer._is_changelog_tp(tp))
        coordinator = consumer._coordinator
        send, lease = coordinator._send_req, self.app.lease

        async def send_request(request: Any) -> Any:
            sent_at = lease.clock()
            response = await send(request)
            if isinstance(request, HeartbeatRequest | SyncGroupRequest):
                note_answer(lease, sent_at, response.error_code)
            return response

        coordinator._send_req = send_request

    async def on_thread_stop(self) -> None:
        """Leave the group while this thread still answers calls.

        Upstream ends the calls first. A rebalance under way may make one, and its end is what the consumer waits for: for ever.
        """
        try:
            if self._consumer is not None and self._consumer._coordinator is not None:
                await leave_group(self._consumer._coordinator, REBALANCED_WITHIN_S)
        finally:
            await super().on_thread_stop()
