"""Faust's consumer, overridden: one poll is one message, and commits are by our own bookkeeping.

Why each override exists is said beside it; docs/decisions/0001 and 0003 have the measurements.
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
from streams.engine.oldest import Oldest
from streams.engine.thread import ConsumerThread
from streams.engine.transactions import Membership
from streams.engine.unit import Unit
from streams.kafka.positions import LogWentBack

POLL_S = 0.2
NOTHING_ACTIVE_S = 0.02
CREATE_TIME = 0


class PollConsumer(driver.Consumer):
    """One Faust message per poll of the events topic, one unit in flight, so that units grow by themselves under load.

    Other topics' records pass one by one, as upstream.
    """

    app: Any
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._custody, self._oldest = Custody(), Oldest()
        self._position = asyncio.Lock()
        self.idle = asyncio.Event()
        self.idle.set()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Polls and seeks

    async def _poll(self, timeout: float) -> Mapping[Any, list[Any]]:
        """Records of the partitions that were active when the poll began.

        Polls and seeks take turns. A poll that is under way during a seek takes records from either side of it, upstream lends
        it the live set of active partitions, and an empty set reads as all of them: what such a poll takes is dropped, and
        when it comes from behind the seek it is never read again.
        """
        if self.flow_active:  # if not, it may never be again: upstream waits for that, and a fetcher that waits does not end
            async with self._position:
                if active := frozenset(self._get_active_partitions()):
                    return await self._getmany(cast(Any, active), timeout)
        await asyncio.sleep(NOTHING_ACTIVE_S)
        return {}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """See `_poll`; recovery positions changelogs through this."""
        async with self._position:
            await super().seek_wait(partitions)

    async def perform_seek(self) -> None:
        """The records come again from the committed offsets, and the chain of custody begins anew.

        Upstream leaves a partition without a committed offset where it is, which is past what a poll took and nobody worked on.
        """
        async with self._position:
            found = await self.seek_to_committed()
            committed = {ensure_TP(tp): offset if offset and offset > 0 else None for tp, offset in found.items()}
            never = [tp for tp in found if committed[ensure_TP(tp)] is None and not self._is_changelog_tp(tp)]
            if never:
                await self._thread.seek_to_beginning(*never)
            self._read_offset.update(committed)
            self._committed_offset.update(committed)
            self._custody.reset()
            self._oldest.reset()
            self.idle.set()

    # What a poll becomes

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Changelog records go to bulk recovery, events become one unit, and other topics' records pass one by one."""
        if not await self._may_poll(timeout):
            return
        polled = await self._poll(timeout)
        if self.should_stop or not self.flow_active:
            return
        recovery, generation = self.app.tables.recovery, self.app.consumer_generation_id
        if not polled and self.app.in_recovery:
            recovery.finish_at_end()
        unit = Unit({}, generation, {})
        for found, records in polled.items():
            tp = ensure_TP(found)
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            if not records or tp not in self._get_active_partitions():
                continue
            if self._is_changelog_tp(tp):
                recovery.apply(tp, records)
                await asyncio.sleep(0)
            elif tp.topic == self.app.events_name:
                self._add(unit, tp, records)
            else:
                for record in self._expected(tp, records):
                    yield tp, self._to_message(tp, record)
        if unit.records:
            yield self._message(unit)

    async def _may_poll(self, timeout: float) -> bool:
        """One unit in flight; while it is, the fetcher fills its buffers and the next unit grows."""
        if self.idle.is_set():
            return True
        try:
            async with asyncio.timeout(timeout):  # `wait_for` loses a cancellation that comes with what it waits for
                await self.idle.wait()
        except TimeoutError:
            return False
        return True

    def _expected(self, tp: TP, records: list[Any]) -> list[Any]:
        """Without those that were handed out before; the rest count as handed out."""
        expected = self._read_offset[tp] or 0
        kept = [record for record in records if record.offset >= expected]
        if kept:
            self._read_offset[tp] = kept[-1].offset + 1
        return kept

    def _add(self, unit: Unit, tp: TP, records: list[Any]) -> None:
        first, last, expected = records[0], records[-1], self._read_offset[tp]
        if expected is not None and first.offset < expected:  # where a log ends before its position, aiokafka begins anew
            raise LogWentBack(f"{tp.topic} {tp.partition}: read up to {expected}, and then offset {first.offset}")
        self._read_offset[tp] = last.offset + 1
        unit.records[tp.partition] = records
        unit.previous[tp.partition] = self._custody.deliver(tp.partition, last.offset)
        self._oldest.handed_out(tp.partition, last.offset, first.timestamp)

    def _message(self, unit: Unit) -> tuple[TP, Any]:
        """Faust wants one topic partition and offset per message: the first of the unit stands for all."""
        partition, records = next(iter(unit.records.items()))
        tp, last = TP(self.app.events_name, partition), records[-1]
        self.idle.clear()
        return tp, ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            CREATE_TIME,
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
        """Upstream's loop spends four tasks on each message (`wait_first`) and keeps gaps in interval trees.

        The callback does not block: `getmany` yields only while the flow is active, and one unit never fills a queue.
        """
        stopped, fetcher_stopped, callback = self._stopped.is_set, fetcher._stopped.is_set, self.callback
        try:
            while not (stopped() or fetcher_stopped()):
                await asyncio.sleep(0)
                async for _, message in self.getmany(timeout=POLL_S):
                    await callback(message)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    def on_buffer_full(self, tp: TP) -> None:
        """Upstream takes the partition out, and with all out its loop sleeps a second; one unit in flight bounds memory."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""

    async def verify_all_partitions_active(self) -> None:
        """Upstream would warn for ever of changelogs that no stream reads; what stalls ends the worker (`StallWatch`)."""

    # Acknowledging and committing

    def ack(self, message: Any) -> bool:
        """Called by ``event.ack()``; the stream's own acknowledgement is switched off, as it bypasses this method."""
        unit = message.value
        if not isinstance(unit, Unit):
            return bool(super().ack(message))
        if message.acked:
            return False
        if unit.generation == self.app.consumer_generation_id:
            try:
                self._custody.ack(unit)
            except CustodyBroken as broken:
                self.app.fail_stop(broken)
                return False
        message.acked = True
        self._release(message)
        return True

    def abandon(self, message: Any) -> None:
        """Give a unit up: neither committed nor waited for. Its records come again after the rebalance's seek."""
        self._release(message)

    def _release(self, message: Any) -> None:
        self._unacked_messages.discard(message)
        self.idle.set()
        notify(self._waiting_for_ack)

    async def wait_empty(self) -> None:
        """A revocation sweeps the stream's queue before it waits: a unit that lay there is nobody's, and no poll may wait for it.

        Recovery would wait for ever: it ends by polls.
        """
        await super().wait_empty()
        self.idle.set()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Our offsets live on through upstream's `wait_empty`, which commits them; upstream drops its own before."""
        await super().on_partitions_revoked(revoked)
        gone = {tp.partition for tp in revoked if tp.topic == self.app.events_name}
        self._custody.forget(gone)
        self._oldest.forget(gone)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        name = self.app.events_name
        for tp in [TP(name, partition) for partition in self._custody.to_commit]:
            if topics is None or tp in topics or name in topics:
                yield tp
        yield from super()._filter_tps_with_pending_acks(topics)

    def _new_offset(self, tp: TP) -> int | None:
        """Nothing of the events where transactions commit them."""
        if tp.topic == self.app.events_name:
            return None if self.app.exactly_once else self._custody.to_commit.get(tp.partition)
        return super()._new_offset(tp)

    def committed(self, offsets: Mapping[int, int]) -> None:
        """A transaction has committed these offsets of the events, per partition."""
        self._committed_offset.update({TP(self.app.events_name, partition): offset for partition, offset in offsets.items()})

    def membership(self, generation: int) -> Membership:
        """As whom a unit of this generation commits its offsets in a transaction."""
        coordinator = self._thread._ensure_consumer()._coordinator
        return Membership(generation, coordinator.member_id, self.app.conf.consumer_group_instance_id or None)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets missing from a compacted or transactional log need no book-keeping here."""

    def done(self, tp: TP) -> int:
        """The next offset to do, as far as this worker knows."""
        return self._custody.to_commit.get(tp.partition, self._committed_offset.get(tp) or 0)

    def committed_offset(self, partition: int) -> int:
        """The offset of a partition of the events that is committed, as far as this worker knows."""
        return self._committed_offset.get(TP(self.app.events_name, partition)) or 0

    def oldest(self, partition: int) -> int | None:
        """Kafka time of its first event that is not committed, epoch ms; ``None`` if none was polled."""
        return self._oldest.kafka_time(partition, self.committed_offset(partition))

    def trouble(self) -> BaseException | None:
        """Why nothing will be polled any more; ``None`` while all is well."""
        return self._thread.trouble()

    @property
    def begun(self) -> bool:
        """Whether there is anything to ask."""
        return self._thread is not None and self._thread._consumer is not None and self._thread._consumer._coordinator is not None

    def fetched(self, tp: TP) -> tuple[int | None, int | None, int | None]:
        """Where a partition's reading stands; see `ConsumerThread.fetched`."""
        return self._thread.fetched(tp)

    def lag(self, *, readable: bool = False) -> dict[int, int]:
        """Per partition of the events, how many offsets are left to do, or how many of those that can be read.

        The last ones may be markers of transactions.
        """
        left = {}
        for tp in [tp for tp in self.assignment() if tp.topic == self.app.events_name]:
            position, end, stable = self.fetched(tp)
            end = (stable if readable else end) or 0
            found = max(end - self.done(tp), 0)
            if found and self.idle.is_set() and position is not None and position >= end:
                found = 0
            left[tp.partition] = found
        return left

    def progress(self) -> tuple[object, bool]:
        """What moves while there is work: commits and recovery; and whether there is any."""
        recovery = self.app.tables.recovery
        behind = self.app.in_recovery or any(self.lag(readable=True).values())
        return (dict(self._committed_offset), dict(recovery.active_offsets)), behind
