"""Faust's table recovery, overridden.

It loads in bulk, keeps the highest source offset of each key, and resumes the stream last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

import structlog
from faust.tables.manager import TableManager as FaustTableManager
from faust.tables.recovery import Recovery as FaustRecovery
from faust.types import TP
from faust.types.transports import ConsumerT
from mode import Service
from rocksdict import WriteBatch

from streams.engine.upstream import databases, start_fetcher, store_of
from streams.kafka.positions import RemovedUnread, refuse_ahead
from streams.wire.record import KafkaRecord

if TYPE_CHECKING:  # the app imports this module
    from streams.engine.consumer import PollConsumer
    from streams.engine.faust_app import App

log = structlog.get_logger(__name__)


class ChangelogFormat(Protocol):
    """What recovery has to know about the bytes in the changelog and in the store.

    `streams.sessions.changelog` implements it. `Recovery` calls every method on the event loop. A
    record may contain any bytes.
    """

    def ours(self, record: KafkaRecord) -> bool:
        """Return whether Ouzel can have written a record.

        Called first, for each polled record that is not applied yet. A record that is not ours is
        counted and skipped. Raises `NewerState`, which ends the worker, if a later version of Ouzel
        wrote the record.
        """
        ...

    def newest(
        self, records: Iterable[KafkaRecord], stored: Callable[[bytes], bytes | None], removed: dict[bytes, int]
    ) -> dict[bytes, tuple[int, bytes | None]]:
        """Return what to store: per key a source offset and a value, or ``None`` to remove it.

        Called once per poll and partition, with the records that are `ours`, in offset order.
        ``stored`` reads the partition's store. ``removed`` is empty when a recovery begins; later
        calls get it as the earlier ones left it.
        """
        ...

    def next_offset(self, stored: Callable[[bytes], bytes | None]) -> int:
        """Return the offset of a partition's next event to process, according to its store.

        Called at the end of a recovery.
        """
        ...


class Recovery(FaustRecovery):
    """Loads changelogs 40 times faster than upstream, and loses no events when it ends."""

    app: App

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take whatever arguments Faust's own takes."""
        self._seeked = False
        self._removed: dict[TP, dict[bytes, int]] = {}
        self._removed_events: RemovedUnread[TP] = RemovedUnread()
        self._began, self._rebalance = 0.0, 0
        super().__init__(*args, **kwargs)

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Also ignore the changelogs until the seek: until then, their positions are old."""
        self._seeked = False
        self._removed.clear()
        self._refuse_unknown(assigned)
        self._began, self._rebalance = self.app.lease.clock(), self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    def _refuse_unknown(self, assigned: set[TP]) -> None:
        """End the process if events come with partitions that the other topics do not have.

        The assignment counts the partitions of the topic, not those of the settings.
        """
        known = self.app.conf.topic_partitions
        if beyond := [tp.partition for tp in assigned if tp.topic == self.app.events_name and tp.partition >= known]:
            self.app.fail_stop(self.app.partitions_grown(max(beyond) + 1))

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Do nothing, because `apply` reads the changelogs.

        Upstream's loop would be idle, but clear `signal_recovery_end` every 5 s.
        """

    @Service.task
    async def _restart_recovery(self) -> None:
        """Start upstream's loop again when it ends: it mistakes a request's time-out for a stop.

        After an outage the group rebalances, and recovery starts again. If it does not, the
        watchdog ends the worker.
        """
        while not self.should_stop:
            await FaustRecovery._restart_recovery(self)

    async def _seek_offsets(self, consumer: ConsumerT, tps: set[TP], offsets: Counter[TP], title: str) -> None:
        """First clear the signal of the last recovery, and refuse offsets beyond the log's end.

        Upstream leaves the signal set, which would end this recovery before it began. The offsets
        are not checked with the embedded broker (not idempotent), which reports wrong ends of logs.
        """
        self.signal_recovery_end.clear()
        if title == "active" and self.app.idempotent:
            ends = {tp: None if last is None else last + 1 for tp, last in self.active_highwaters.items()}
            refuse_ahead({tp: offset + 1 for tp, offset in offsets.items() if offset is not None and tp in tps}, ends)
        await super()._seek_offsets(consumer, tps, offsets, title)
        if title == "active":
            self._seeked = True

    def apply(self, tp: TP, records: Sequence[KafkaRecord]) -> None:
        """Write one poll of a changelog partition in one batch. The consumer calls this."""
        if not self._seeked or tp not in self.active_tps:
            return
        applied = self._applied(tp)
        last = -1 if applied is None else applied
        fresh = [record for record in records if record.offset > last]
        if fresh:
            changelog, table = self.app.changelog_format, self.tp_to_table[tp]
            kept, foreign = list[KafkaRecord](), list[KafkaRecord]()
            for record in fresh:
                (kept if changelog.ours(record) else foreign).append(record)
            if foreign:
                where = {"topic": tp.topic, "partition": tp.partition, "offset": foreign[0].offset}
                log.warning("foreign_bytes", **where, records=len(foreign))
                self.app.on_foreign_bytes(len(foreign))
            database = databases(table)(tp.partition)
            batch = WriteBatch(raw_mode=True)
            for key, (_, value) in changelog.newest(kept, database.get, self._removed.setdefault(tp, {})).items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            batch.put(store_of(table).offset_key, str(fresh[-1].offset).encode())
            database.write(batch)
            self.active_offsets[tp] = fresh[-1].offset
        self._finish_if_done()

    def finish_at_end(self) -> None:
        """Note the partitions that were read up to their end; called after an empty poll.

        A log may end in markers of transactions, which no poll returns, so the offset of the last
        record may stay below the end.
        """
        if not self._seeked:
            return
        for tp, last in list(self.active_highwaters.items()):
            applied = self._applied(tp)
            if last is not None and applied is not None and applied < last:
                position = self.app.consumer.fetched(tp).position
                if position is not None and position > last:
                    self.active_offsets[tp] = last
        self._finish_if_done()

    def _applied(self, tp: TP) -> int | None:
        """Return the offset of the last stored changelog record, if any."""
        return cast(dict[TP, int | None], self.active_offsets).get(tp)

    def _finish_if_done(self) -> None:
        """End the recovery if all is read, as upstream's loop over single changelog events does."""
        if self._seeked and self.in_recovery and not self.need_recovery():
            self.flush_buffers()
            self._set_recovery_ended()
            self.signal_recovery_end.set()

    def _overtaken(self, generation_id: int) -> bool:
        """Return whether another rebalance has begun. Its own recovery takes over then."""
        return self.app.consumer_generation_id != generation_id or self.app.rebalancing_count != self._rebalance

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Do as upstream, in another order: seek, resume the flow, then resume the partitions.

        Resuming the flow clears the queues. Upstream resumes the partitions first, and loses the
        records that are polled before the queues are cleared (issue 596). If another rebalance
        begins, nothing may be handed out: its recovery seeks again.
        """
        consumer = self.app.consumer
        await self.app.on_rebalance_complete.send()
        self._set_recovery_ended()
        self._removed.clear()
        for table in self.tables.values():
            await table.on_recovery_completed(self.actives_for_table[table], self.standbys_for_table[table])
        assignment = consumer.assignment()
        if self._overtaken(generation_id):
            return
        await self._wait(self.app.producer.wait_whole())
        if assignment:
            await self._wait(consumer.perform_seek(), timeout=self.app.conf.broker_request_timeout)
            await self._wait(self._check_positions(consumer), timeout=self.app.conf.broker_request_timeout)
        if self._overtaken(generation_id):
            return
        self.completed.set()
        self.app.flow_control.resume()
        consumer.resume_flow()
        consumer.resume_partitions({tp for tp in assignment if not self._is_changelog_tp(tp)})
        await start_fetcher(self.app)
        self.tables.on_actives_ready()
        if not self.app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        self.app.on_rebalance_end()
        self.app.on_recovered(self.app.lease.clock() - self._began)

    async def _check_positions(self, consumer: PollConsumer) -> None:
        """Raise `PositionAhead` if a log of events ends before the next event to process.

        Notice events that were removed from the beginning of the log before they were processed.
        The offsets are not checked with the embedded broker (not idempotent), which reports wrong
        ends of logs.
        """
        events = [tp for tp in consumer.assignment() if tp.topic == self.app.events_name]
        if events and self.app.idempotent:
            database = databases(self.app.sessions)
            done = {tp: self.app.changelog_format.next_offset(database(tp.partition).get) for tp in events}
            following = {tp: max(done[tp], consumer.done(tp)) for tp in events}
            refuse_ahead(following, await consumer.highwaters(*events))
            for (topic, partition), gap in self._removed_events.new(following, await consumer.earliest_offsets(*events)).items():
                log.error("events_removed", topic=topic, partition=partition, first=gap.start, count=len(gap))
                self.app.on_removed_events(len(gap))


class TableManager(FaustTableManager):
    """Makes our `Recovery`."""

    @property
    def recovery(self) -> Recovery:
        """The table recovery. Upstream creates its own class, and has no setting for it."""
        if self._recovery is None:
            self._recovery = Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast(Recovery, self._recovery)
