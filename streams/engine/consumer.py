"""Faust's consumer, overridden: each poll becomes one message, which is a unit of work.

docs/decisions/0001 and 0003 have the measurements behind the overrides.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import structlog
from faust.transport.consumer import ensure_TP
from faust.types import TP, ConsumerMessage, Message
from mode import ServiceT

from streams.engine.committing import CommittingConsumer
from streams.engine.unit import Unit
from streams.engine.upstream import stop_flag
from streams.kafka.positions import LogWentBack
from streams.wire.record import Record

log = structlog.get_logger(__name__)

POLL_S = 0.2
NOTHING_ACTIVE_S = 0.02
CREATE_TIME = 0
"""Kafka's code for a record whose time its producer has set."""


class PollConsumer(CommittingConsumer):
    """Makes each poll of the events topic one Faust message.

    One unit is in flight at a time, so units grow by themselves under load. Changelog records go
    to bulk recovery.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take whatever arguments Faust's own takes."""
        self._position = asyncio.Lock()
        super().__init__(*args, **kwargs)

    # Polls and seeks

    async def _poll(self, timeout: float) -> Mapping[TP, list[Record]]:
        """Return records of the partitions that were active when the poll began.

        Polls and seeks exclude each other. A poll that ran during a seek would return records from
        both sides of it and be dropped, and those from behind the seek would never be read again.
        The set of active partitions is copied, because upstream changes it during a poll, and an
        empty set means all partitions.

        Upstream waits until the flow is active. This method must not wait: a stop ends the flow,
        and then waits for the fetcher that polls.
        """
        if self.flow_active:
            async with self._position:
                if active := set(self._get_active_partitions()):
                    return await self._getmany(active, timeout)
        await asyncio.sleep(NOTHING_ACTIVE_S)
        return {}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek while no poll runs; see `_poll`. Recovery calls this to position the changelogs."""
        async with self._position:
            await super().seek_wait(partitions)

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, and start a new chain of custody.

        Upstream leaves a partition without a committed offset where it is, which may be past
        records that were polled and never worked on. This seeks it to its beginning.
        """
        async with self._position:
            positions = await self.seek_to_committed()
            committed = {ensure_TP(tp): offset if offset and offset > 0 else None for tp, offset in positions.items()}
            never = [tp for tp in positions if committed[ensure_TP(tp)] is None and not self._is_changelog_tp(tp)]
            if never:
                await self._thread.seek_to_beginning(*never)
            self._read_offset.update(committed)
            self._committed_offset.update(committed)
            self._custody.reset()
            self._oldest.reset()
            self.idle.set()

    # What a poll becomes

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Message]]:
        """Poll once, and yield at most one unit.

        Changelog records go to recovery. Upstream makes a message of every record, which costs more
        than all of our work on it.
        """
        if not await self._may_poll(timeout):
            return
        polled = await self._poll(timeout)
        if self.should_stop or not self.flow_active:
            return
        recovery, generation = self.app.tables.recovery, self.app.consumer_generation_id
        if not polled and self.app.in_recovery:
            recovery.finish_at_end()
        unit = Unit({}, generation, {})
        for partition, records in polled.items():
            tp = ensure_TP(partition)
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
                self._refuse(tp, records)
        if unit.records:
            yield self._message(unit)

    async def _may_poll(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the unit in flight. Returns whether none is left.

        Meanwhile the fetcher fills its buffers, and the next unit grows. `asyncio.wait_for` would
        lose a cancellation that comes just as the wait ends.
        """
        if self.idle.is_set():
            return True
        try:
            async with asyncio.timeout(timeout):
                await self.idle.wait()
        except TimeoutError:
            self._thread.fetch_ahead()
            return False
        return True

    def _refuse(self, tp: TP, records: list[Record]) -> None:
        """Drop records of the learner topic, which nobody should write.

        Faust would decode them. It needs the topic for its assignment only.
        """
        log.warning("foreign_records", topic=tp.topic, partition=tp.partition, offset=records[0].offset, records=len(records))
        self.app.on_foreign_election(len(records))

    def _add(self, unit: Unit, tp: TP, records: list[Record]) -> None:
        """Add a partition's records to the unit. Raises `LogWentBack` if they were read before.

        aiokafka starts again at the beginning of a log that ends before its position.
        """
        first, last, expected = records[0], records[-1], self._read_offset[tp]
        if expected is not None and first.offset < expected:
            raise LogWentBack(
                f"{tp.topic} {tp.partition}: read up to {expected}, and then offset {first.offset}: the topic was truncated, or "
                "deleted and created again; if the next start refuses its position, run `ouzel reset`"
            )
        self._read_offset[tp] = last.offset + 1
        unit.records[tp.partition] = records
        unit.previous[tp.partition] = self._custody.deliver(tp.partition, last.offset)
        if (kafka_time := next((record.timestamp for record in records if record.timestamp >= 0), None)) is not None:
            self._oldest.handed_out(tp.partition, last.offset, kafka_time)

    def _message(self, unit: Unit) -> tuple[TP, Message]:
        """Return the unit as a message; Faust needs one partition and its last offset, no more."""
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
            cast(Any, unit),  # Faust's type is bytes, but only `RawSchema` reads it
            None,
            0,
            0,
            tp,
            generation_id=unit.generation,
        )

    async def _drain_messages(self, fetcher: ServiceT) -> None:
        """Poll until the stop, and pass each message on.

        Upstream's loop spends four tasks on each message (`wait_first`), and keeps gaps in interval
        trees. Awaiting the callback is enough here, as it does not block: `getmany` yields only
        while the flow is active, and one unit never fills a queue.
        """
        stopped, fetcher_stopped, callback = self._stopped.is_set, stop_flag(fetcher), self.callback
        try:
            while not (stopped() or fetcher_stopped()):
                await asyncio.sleep(0)
                async for _, message in self.getmany(timeout=POLL_S):
                    await callback(message)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: with one unit in flight, memory is bounded already.

        Upstream would stop polling the partition, and sleep a second once all are stopped.
        """

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing; see `on_buffer_full`."""

    async def verify_all_partitions_active(self) -> None:
        """Do nothing: `StallWatch` notices a stall.

        Upstream would warn about changelogs for ever, because no stream reads them.
        """
