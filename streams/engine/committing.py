"""Acknowledges and commits events by the chain of custody; Faust would count single offsets.

docs/decisions/0001 and 0003 have the measurements behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from faust.types.transports import TPorTopicSet
from mode.utils.futures import notify

from streams.engine.custody import Custody, CustodyBroken
from streams.engine.oldest import Oldest
from streams.engine.thread import ConsumerThread
from streams.engine.transactions import Membership
from streams.engine.unit import Unit
from streams.engine.upstream import Reading

if TYPE_CHECKING:  # the app imports this module
    from streams.engine.faust_app import App


class CommittingConsumer(driver.Consumer):
    """Acknowledges units, commits their offsets, and reports its progress.

    `PollConsumer` adds the polls. ``idle`` is set while no unit is in flight.
    """

    app: App
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take whatever arguments Faust's own takes."""
        self._custody, self._oldest = Custody(), Oldest()
        self.idle = asyncio.Event()
        self.idle.set()
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        """Make our thread; upstream has no setting for its class."""
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Acknowledging

    def ack(self, message: Message) -> bool:
        """Acknowledge a unit as a whole, and other messages as upstream does, by single offsets.

        ``event.ack()`` calls this. The stream's own acknowledgement bypasses it, so agents switch
        that off.
        """
        unit: object = message.value
        if not isinstance(unit, Unit):
            return super().ack(message)
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

    def abandon(self, message: Message) -> None:
        """Give up a unit: it is not committed, and polls no longer wait for it.

        Its records are read again after the seek of the rebalance.
        """
        self._release(message)

    def _release(self, message: Message) -> None:
        self._unacked_messages.discard(message)
        self.idle.set()
        notify(self._waiting_for_ack)

    async def wait_empty(self) -> None:
        """Also allow polls again after a revocation.

        On a revocation upstream clears the stream's queue and then calls this. A unit that was
        queued there is never acknowledged, so no poll may wait for it: recovery needs polls to end.
        """
        await super().wait_empty()
        self.idle.set()

    # Committing

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the revoked partitions once upstream has finished.

        Upstream forgets its own offsets first. Ours are needed until then, because upstream calls
        `wait_empty`, which commits them.
        """
        await super().on_partitions_revoked(revoked)
        gone = {tp.partition for tp in revoked if tp.topic == self.app.events_name}
        self._custody.forget(gone)
        self._oldest.forget(gone)

    def _filter_tps_with_pending_acks(self, topics: TPorTopicSet | None = None) -> Iterator[TP]:
        """Add the partitions that custody may commit: upstream knows of single messages only."""
        name = self.app.events_name
        for tp in [TP(name, partition) for partition in self._custody.to_commit]:
            if topics is None or tp in topics or name in topics:
                yield tp
        yield from super()._filter_tps_with_pending_acks(topics)

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset that custody may commit, in place of the one that upstream counts.

        It is ``None`` with exactly-once delivery, because transactions commit the events.
        """
        if tp.topic == self.app.events_name:
            return None if self.app.exactly_once else self._custody.to_commit.get(tp.partition)
        return super()._new_offset(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: custody does not need upstream's interval trees of missing offsets."""

    def committed(self, offsets: Mapping[int, int]) -> None:
        """Note the offset of the events in each partition that a transaction has committed."""
        self._committed_offset.update({TP(self.app.events_name, partition): offset for partition, offset in offsets.items()})

    def membership(self, generation: int) -> Membership:
        """Return the member in whose name a transaction commits a unit of this generation."""
        return Membership(generation, self._thread.member_id, self.app.conf.consumer_group_instance_id or None)

    # Progress

    def done(self, tp: TP) -> int:
        """Return the next offset of the events to process, as far as this worker knows."""
        return self._custody.to_commit.get(tp.partition, self._committed_offset.get(tp) or 0)

    def committed_offset(self, partition: int) -> int:
        """Return the committed offset of a partition of the events, as far as this worker knows."""
        return self._committed_offset.get(TP(self.app.events_name, partition)) or 0

    def oldest(self, partition: int) -> int | None:
        """Return the Kafka time (epoch ms) of a partition's oldest uncommitted event.

        Returns ``None`` if no such event was handed out.
        """
        return self._oldest.kafka_time(partition, self.committed_offset(partition))

    @property
    def begun(self) -> bool:
        """Whether the consumer has started; before that `trouble`, `fetched` and `lag` raise."""
        return self._thread.begun

    def trouble(self) -> BaseException | None:
        """Return the error that has ended the polls, or ``None`` if all is well."""
        return self._thread.trouble()

    def fetched(self, tp: TP) -> Reading:
        """Return the offsets of a partition that the fetcher knows."""
        return self._thread.fetched(tp)

    def lag(self, *, readable: bool = False) -> dict[int, int]:
        """Return the number of offsets of the events left to process, per partition.

        With ``readable``, only the offsets count that can be read now: an open transaction hides
        those from its start on. Markers of transactions have offsets too, but are never polled. So
        nothing is left once the worker is idle and has polled up to the end.
        """
        left = {}
        for tp in [tp for tp in self.assignment() if tp.topic == self.app.events_name]:
            at = self.fetched(tp)
            end = (at.stable if readable else at.end) or 0
            polled_all = self.idle.is_set() and at.position is not None and at.position >= end
            left[tp.partition] = 0 if polled_all else max(end - self.done(tp), 0)
        return left

    def progress(self) -> tuple[object, bool]:
        """Return a value that commits and recovery change, and whether there is work."""
        recovery = self.app.tables.recovery
        behind = self.app.in_recovery or any(self.lag(readable=True).values())
        return (dict(self._committed_offset), dict(recovery.active_offsets)), behind
