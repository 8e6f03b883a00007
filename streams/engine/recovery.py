"""Faust's table recovery, overridden: in bulk, by the highest source offset, and with the stream resumed last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from faust.tables.recovery import Recovery as FaustRecovery
from faust.types import TP
from mode import Service
from rocksdict import WriteBatch

from streams.errors import BadData
from streams.kafka.decoding import decoded
from streams.kafka.positions import refuse_ahead
from streams.sessions.deletion import MARKER, deleted_at
from streams.sessions.step import unpack
from streams.sessions.store import STATE_KEYS, WATERMARK, WATERMARK_BYTES

log = structlog.get_logger(__name__)

LONGEST_KEY = 10_000

Version = tuple[int, bytes | None]
"""A state's source offset, and its stored form; ``None`` for a removed one."""


def source_offset(record: Any) -> int:
    """The source offset of a changelog record: a value begins with it, a tombstone tells it in a header."""
    if record.value is not None:
        return int.from_bytes(record.value[:8], "big")
    return int(dict(record.headers or ()).get("offset", b"-1"))


def ours(record: Any) -> bool:
    """Whether a changelog record can be one of this program's. Raises `NewerState` on one of a later version's."""
    key, value = record.key, record.value
    try:
        if key == WATERMARK:
            return value is not None and len(value) == WATERMARK_BYTES
        if key is None or key[:2] not in STATE_KEYS or len(key) > LONGEST_KEY:
            return False
        if value is None:
            return source_offset(record) >= 0
        decoded(deleted_at if key.startswith(MARKER) else unpack, value)
    except (BadData, TypeError, ValueError):  # the header of a tombstone may hold anything
        return False
    return True


def newest(records: Iterable[Any], stored: Callable[[bytes], bytes | None], removed: dict[bytes, int]) -> dict[bytes, Version]:
    """What to write of these changelog records: per key the one of the highest source offset, if it beats what is stored.

    Compaction keeps the last record of a key, and a zombie's may lie last. ``removed`` remembers tombstones while recovery
    lasts, as nothing is stored of them.
    """
    best: dict[bytes, Version] = {}
    for record in records:
        offset = source_offset(record)
        if offset >= best.get(record.key, (-1, None))[0]:
            best[record.key] = (offset, record.value)
    wins: dict[bytes, Version] = {}
    for key, (offset, value) in best.items():
        current = stored(key)
        known = int.from_bytes(current[:8], "big") if current is not None else removed.get(key, -1)
        if offset >= known:
            wins[key] = (offset, value)
            if value is None:
                removed[key] = offset
    return wins


class Recovery(FaustRecovery):
    """Loads changelogs 40 times faster than upstream, and closes its window in which records were lost."""

    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._seeked = False
        self._removed: dict[TP, dict[bytes, int]] = {}
        self._began, self._rebalance = 0.0, 0
        super().__init__(*args, **kwargs)

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Positions belong to this generation only once it has been sought."""
        self._seeked = False
        self._removed.clear()
        self._began, self._rebalance = self.app.lease.clock(), self.app.rebalancing_count
        await super().on_rebalance(*args, **kwargs)

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """No changelog event reaches upstream's loop, which would clear `signal_recovery_end` every five seconds."""

    @Service.task
    async def _restart_recovery(self) -> None:
        """Upstream's loop takes a request's time-out for the end of the service, and would never recover again.

        After an outage the group rebalances and recovery begins anew; where it does not, the watchdog ends the worker.
        """
        while not self.should_stop:
            await FaustRecovery._restart_recovery(self)

    async def _seek_offsets(self, consumer: Any, tps: Any, offsets: Any, title: str) -> None:
        """A signal that is still set from the last recovery would end this one before it began."""
        self.signal_recovery_end.clear()
        if title == "active" and self.app.idempotent:  # the embedded broker tells the end of a log wrong
            ends = {tp: None if last is None else last + 1 for tp, last in self.active_highwaters.items()}
            refuse_ahead({tp: offset + 1 for tp, offset in offsets.items() if offset is not None and tp in tps}, ends)
        await super()._seek_offsets(consumer, tps, offsets, title)
        if title == "active":
            self._seeked = True

    def apply(self, tp: TP, records: Sequence[Any]) -> None:
        """Write one poll of a changelog partition in one batch."""
        if not self._seeked or tp not in self.active_tps:
            return
        applied = self.active_offsets.get(tp)
        applied = -1 if applied is None else applied
        fresh = [record for record in records if record.offset > applied]
        if fresh:
            kept = [record for record in fresh if ours(record)]
            if len(kept) < len(fresh):
                log.warning("foreign_bytes", partition=tp.partition, records=len(fresh) - len(kept))
                self.app.on_foreign_bytes(len(fresh) - len(kept))
            table: Any = self.tp_to_table[tp]
            store = table.data
            database = store._db_for_partition(tp.partition)
            batch = WriteBatch(raw_mode=True)
            for key, (_, value) in newest(kept, database.get, self._removed.setdefault(tp, {})).items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            batch.put(store.offset_key, str(fresh[-1].offset).encode())
            database.write(batch)
            self.active_offsets[tp] = fresh[-1].offset
        self._finish_if_done()

    def finish_at_end(self) -> None:
        """Call after a poll that brought nothing: a log may end in transaction markers, which are never delivered."""
        if not self._seeked:
            return
        for tp, last in list(self.active_highwaters.items()):
            applied = self.active_offsets.get(tp)
            if last is not None and applied is not None and applied < last:
                position, *_ = self.app.consumer.fetched(tp)
                if position is not None and position > last:
                    self.active_offsets[tp] = last
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        """What upstream's loop over single changelog events does when it has read them all."""
        if self._seeked and self.in_recovery and not self.need_recovery():
            self.flush_buffers()
            self._set_recovery_ended()
            self.signal_recovery_end.set()

    def _overtaken(self, generation_id: int) -> bool:
        """Whether another rebalance has begun, whose own recovery goes on from here."""
        app = self.app
        return bool(app.consumer_generation_id != generation_id or app.rebalancing_count != self._rebalance)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """As upstream, but seek, then resume the flow (which clears queues), and resume the stream's partitions last.

        Upstream resumes the partitions first, and what is polled before the queues are cleared is lost (issue 596).
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
            await self._wait(self._refuse_events_ahead(consumer), timeout=self.app.conf.broker_request_timeout)
        if self._overtaken(generation_id):  # what it seeks again must not have been handed out before
            return
        self.completed.set()
        self.app.flow_control.resume()
        consumer.resume_flow()
        consumer.resume_partitions({tp for tp in assignment if not self._is_changelog_tp(tp)})
        await self.app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        if not self.app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        self.app.on_rebalance_end()
        self.app.on_recovered(self.app.lease.clock() - self._began)

    async def _refuse_events_ahead(self, consumer: Any) -> None:
        events = [tp for tp in consumer.assignment() if tp.topic == self.app.events_name]
        if events and self.app.idempotent:
            table: Any = self.app.sessions
            marks = {tp: table.data._db_for_partition(tp.partition).get(WATERMARK) for tp in events}
            done = {tp: 0 if mark is None else int.from_bytes(mark, "big") + 1 for tp, mark in marks.items()}
            refuse_ahead({tp: max(done[tp], consumer.done(tp)) for tp in events}, await consumer.highwaters(*events))
