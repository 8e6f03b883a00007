"""Faust's consumer, overridden: one poll is one message, and commits are by our own bookkeeping.

Why each override exists is said beside it; docs/decisions/0002 has the measurements.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, cast

from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.futures import notify

from streams.engine.custody import Custody, CustodyBroken
from streams.engine.unit import Unit

RECOVERY_POLL_RECORDS = 20_000
NEXT_UNIT_WAIT_S = 0.2


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that polls: a short fetch wait, large polls in recovery, and heartbeats that feed the lease."""

    app: Any

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Upstream hard-codes a fetch wait of 1500 ms."""
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self.app.fetch_max_wait_ms
        return consumer

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """Recovery reads far more per poll than a unit of work may hold."""
        consumer = self._ensure_consumer()
        most = RECOVERY_POLL_RECORDS if self.app.in_recovery else consumer._max_poll_records
        return await self.call_thread(self._fetch_records, consumer, active_partitions, timeout=timeout, max_records=most)

    async def on_start(self) -> None:
        """Remember when the last heartbeat that succeeded was sent."""
        await super().on_start()
        coordinator = self._ensure_consumer()._coordinator
        beat, lease = coordinator._do_heartbeat, self.app.lease

        async def heartbeat() -> bool:
            sent_at = lease.clock()
            succeeded = bool(await beat())
            if succeeded:
                lease.beat(sent_at)
            return succeeded

        coordinator._do_heartbeat = heartbeat

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Joining the group is hearing from it."""
        self.app.lease.beat(self.app.lease.clock())
        await super().on_partitions_assigned(assigned, generation_id)


class PollConsumer(driver.Consumer):
    """One Faust message per poll of the events topic, one unit in flight, so that units grow by themselves under load."""

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._custody = Custody()
        self._idle = asyncio.Event()
        self._idle.set()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # What a poll becomes

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Changelog records go to bulk recovery, events become one unit, and other topics' records pass one by one."""
        if not await self._may_poll():
            return
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        generation = self.app.consumer_generation_id
        if not self.flow_active:
            return
        unit = Unit({}, {}, generation)
        for found, polled in records.items():
            tp = ensure_TP(found)
            if not self.flow_active or generation != self.app.consumer_generation_id:
                break
            if not polled or not (active is None or tp in active):
                continue
            if self._is_changelog_tp(tp):
                self.app.tables.recovery.apply(tp, polled)
                await asyncio.sleep(0)
            elif tp.topic == self.app.events_name:
                self._add(unit, tp, polled)
            else:
                for record in polled:
                    yield tp, self._to_message(tp, record)
        if unit.records:
            yield self._message(unit)

    async def _may_poll(self) -> bool:
        """One unit in flight; while it is, the fetcher fills its buffers and the next unit grows."""
        if self._idle.is_set():
            return True
        try:
            await asyncio.wait_for(self._idle.wait(), NEXT_UNIT_WAIT_S)
        except TimeoutError:
            return False
        return True

    def _add(self, unit: Unit, tp: TP, polled: list[Any]) -> None:
        expected = self._read_offset[tp]
        kept = polled if expected is None else [record for record in polled if record.offset >= expected]
        if kept:
            last = kept[-1].offset
            unit.records[tp.partition] = kept
            unit.previous[tp.partition] = self._custody.deliver(tp.partition, last)
            self._read_offset[tp] = last + 1

    def _message(self, unit: Unit) -> tuple[TP, Any]:
        """Faust wants one topic partition and offset per message: the first of the unit stands for all."""
        partition, records = next(iter(unit.records.items()))
        tp, last = TP(self.app.events_name, partition), records[-1]
        self._idle.clear()
        return tp, ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            last.timestamp_type,
            None,
            None,
            cast(Any, unit),
            None,
            0,
            0,
            tp,
            generation_id=unit.generation,
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        """Upstream's loop spends four tasks on each message (`wait_first`) and keeps gaps in interval trees."""
        stopped, fetcher_stopped, callback = self._stopped.is_set, fetcher._stopped.is_set, self.callback
        try:
            while not (stopped() or fetcher_stopped()):
                await asyncio.sleep(0)
                async for _, message in self.getmany(timeout=1.0):
                    if isinstance(message.value, Unit) or self.suspend_flow.is_set():
                        await self.wait_first(callback(message), self.suspend_flow.wait())
                    else:
                        await callback(message)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    def on_buffer_full(self, tp: TP) -> None:
        """Upstream takes the partition out, and with all out its loop sleeps a second; one unit in flight bounds memory."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""

    # Acknowledging and committing

    def ack(self, message: Any) -> bool:
        """Called by ``event.ack()``; the stream's own acknowledgement is switched off, as it bypasses this method."""
        if message.acked:
            return False
        message.acked = True
        unit: Unit = message.value
        if unit.generation == self.app.consumer_generation_id:
            try:
                self._custody.ack(unit)
            except CustodyBroken as broken:
                self.app.fail_stop(str(broken))
        self._release(message)
        return True

    def abandon(self, message: Any) -> None:
        """Give a unit up: neither committed nor waited for."""
        self._release(message)

    def _release(self, message: Any) -> None:
        self._unacked_messages.discard(message)
        self._idle.set()
        notify(self._waiting_for_ack)

    async def perform_seek(self) -> None:
        """After a seek the records come again from the committed offsets."""
        await super().perform_seek()
        self._custody.reset()
        self._idle.set()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Our offsets live on through upstream's `wait_empty`, which commits them; upstream drops its own before."""
        await super().on_partitions_revoked(revoked)
        self._custody.forget({tp.partition for tp in revoked if tp.topic == self.app.events_name})

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        name = self.app.events_name
        return (
            tp
            for tp in (TP(name, partition) for partition in self._custody.to_commit)
            if topics is None or tp in topics or name in topics
        )

    def _new_offset(self, tp: TP) -> int | None:
        return self._custody.to_commit.get(tp.partition)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets missing from a compacted or transactional log need no book-keeping here."""

    def done(self, tp: TP) -> int:
        """The next offset to do, as far as this worker knows."""
        committed: Mapping[TP, int | None] = self._committed_offset
        return self._custody.to_commit.get(tp.partition, committed.get(tp) or 0)
