"""Reads the source topics as a member of the intake's consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError

from streams.engine.lease import Lease
from streams.engine.records import read_raw
from streams.engine.thread import REBALANCED_WITHIN_S, leave_group, renew_by_answers
from streams.engine.transactions import Membership
from streams.engine.upstream import coordinator_of, fetcher_of, has_started, reading
from streams.intake.merging import Merge
from streams.intake.rekeying import Where
from streams.intake.sources import group_of
from streams.kafka.connection import aiokafka_config, fetch_waits
from streams.kafka.positions import RemovedUnread, refuse_ahead
from streams.kafka.reading import aiokafka_consumer
from streams.kafka.retry import PATIENT_S, TEMPORARY
from streams.settings import Settings
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

LOOK_EVERY_MS = 10_000
"""How often the group's leader looks for partitions that were added to the sources."""
POLL_MS = 200
MISSING_MS = 50
AHEAD = "Delete the group {group} with Kafka's own tools, and the intake reads every record again"
WAIT_S = 1.0
"""How long the records of other partitions wait for one that has more, but does not answer."""


class SourceReader(ConsumerRebalanceListener):  # type: ignore[misc]
    """Polls records of all sources in order of Kafka time, and keeps the positions.

    ``busy`` is held while a unit is in flight: a rebalance waits for it. ``turn`` changes with
    each rebalance; records that were polled in an earlier turn must not be used, as they are read
    again. ``lease`` says when the group last confirmed the membership. ``on_removed`` gets the
    topic and the number of records that were removed unread.
    """

    def __init__(self, settings: Settings, topics: Sequence[str], on_removed: Callable[[str, int], None]) -> None:
        timeout_ms = int(settings.session_timeout_s * 1000)
        self.group = group_of(settings)
        self.consumer = aiokafka_consumer(
            **aiokafka_config(settings) | {"fetch_max_wait_ms": fetch_waits(settings).short_ms},
            group_id=self.group,
            auto_offset_reset="none",  # `_check` decides
            session_timeout_ms=timeout_ms,
            heartbeat_interval_ms=timeout_ms // 4,
            rebalance_timeout_ms=max(20_000, 2 * timeout_ms),
            max_poll_interval_ms=2**31 - 1,  # while Kafka is away, the unit in flight keeps it from polling
            request_timeout_ms=max(30_000, timeout_ms),
            metadata_max_age_ms=LOOK_EVERY_MS,
        )
        self.consumer.subscribe(topics, listener=self)
        self.busy = asyncio.Lock()
        self.turn = 0
        self.lease = Lease(settings.session_timeout_s)
        self._rebalancing = False
        self._most = settings.max_poll_records
        self._knows_ends = settings.idempotent  # the embedded broker reports wrong ends of logs
        self._on_removed = on_removed
        self._merge = Merge()
        self._removed = RemovedUnread[Where]()
        self._checked = 0
        """The turn whose positions were checked."""
        self._missing_since: float | None = None

    # Rebalances

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Wait for the unit in flight: after this, the partitions may be another member's."""
        self.turn += 1
        self._rebalancing = True
        async with self.busy:
            pass

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Forget what was polled before."""
        self.turn += 1
        self._rebalancing = False
        self._merge.assign([_where(tp) for tp in assigned])
        log.info("assigned", partitions=[f"{topic}-{partition}" for topic, partition in sorted(assigned)])

    @property
    def membership(self) -> Membership:
        """The present membership of the group."""
        coordinator = coordinator_of(self.consumer)
        return Membership(coordinator.generation, str(coordinator.member_id), None)

    @property
    def consumer_generation_id(self) -> int:
        """The present generation of the group; see `streams.engine.producer.Member`."""
        return self.membership.generation

    def holds(self, generation: int) -> bool:
        """Return whether the partitions of this generation may still be ours."""
        return generation == self.consumer_generation_id and not self._rebalancing

    # Positions

    async def start(self) -> None:
        """Join the group. Returns when partitions are assigned."""
        began = self.lease.clock()
        await self.consumer.start()
        self.lease.beat(began)  # the join that has just ended was sent later
        renew_by_answers(coordinator_of(self.consumer), self.lease)
        read_raw(fetcher_of(self.consumer), lambda _: True)

    async def stop(self) -> None:
        """Leave the group. Call when no unit is in flight."""
        if has_started(self.consumer):
            await leave_group(coordinator_of(self.consumer), REBALANCED_WITHIN_S)
        await self.consumer.stop()

    def rewind(self) -> None:
        """Read on at the committed offsets, because those of the last unit were not committed."""
        self._checked = -1

    async def _check(self) -> None:
        """Set the positions: the committed offsets, or the beginning of a log that begins later.

        Raises `PositionAhead` if a committed offset is beyond the end of its log.
        """
        turn, consumer = self.turn, self.consumer
        partitions = sorted(consumer.assignment())
        stored = {tp: offset for tp in partitions if (offset := await consumer.committed(tp)) is not None}
        if self._knows_ends and stored:
            refuse_ahead(stored, await consumer.end_offsets(list(stored)), AHEAD.format(group=self.group))
        begins = await consumer.beginning_offsets(partitions) if partitions else {}
        for tp in partitions:
            consumer.seek(tp, max(stored.get(tp, 0), begins[tp]))
        for (topic, partition), removed in self._removed.new(stored, begins).items():
            log.warning("records_removed", topic=topic, partition=partition, offset=removed.start, before=removed.stop)
            self._on_removed(topic, len(removed))
        if turn == self.turn:
            self._merge.assign([_where(tp) for tp in partitions])
            self._checked = turn

    # Polls

    async def poll(self) -> Sequence[KafkaRecord]:
        """Return the next records; none if there are none yet or the group rebalances."""
        try:
            if self._checked != self.turn:
                await self._check()
            turn = self.turn
            await self._fill()
        except IllegalStateError:  # a partition was revoked meanwhile
            await asyncio.sleep(MISSING_MS / 1000)
            return ()
        except (OffsetOutOfRangeError, NoOffsetForPartitionError):  # records were removed, or the log is another one
            self.rewind()
            await asyncio.sleep(MISSING_MS / 1000)
            return ()
        except TEMPORARY as error:
            log.warning("waits_for_kafka", what="the sources", reason=repr(error))
            await asyncio.sleep(PATIENT_S)
            return ()
        return self._merge.take(self._most, self._lags) if turn == self.turn == self._checked else ()

    async def _fill(self) -> None:
        """Poll the partitions of which few records wait.

        If one of them lags and none of its records wait, the others wait for it for `WAIT_S`.
        """
        await self._get(self._merge.below(self._most), 0 if self._merge else POLL_MS)
        clock = asyncio.get_running_loop().time
        while self._merge and (missing := [where for where in self._merge.below(1) if self._lags(where)]):
            if self._missing_since is None:
                self._missing_since = clock()
            if clock() - self._missing_since > WAIT_S:
                break
            await self._get(missing, MISSING_MS)
        else:
            self._missing_since = None

    async def _get(self, partitions: Sequence[Where], timeout_ms: int) -> None:
        if not partitions:
            await asyncio.sleep(0 if self._merge else POLL_MS / 1000)
            return
        tps = [TopicPartition(*where) for where in partitions]
        polled: Mapping[TopicPartition, list[KafkaRecord]] = await self.consumer.getmany(
            *tps, timeout_ms=timeout_ms, max_records=self._most
        )
        for tp, records in polled.items():
            self._merge.add(_where(tp), records)

    def _lags(self, where: Where) -> bool:
        """Return whether the log has records after those that were polled, as far as is known."""
        if not self._knows_ends:
            return False
        position, end, stable = reading(self.consumer, TopicPartition(*where))
        return position is None or end is None or position < min(end, end if stable is None else stable)

    def lags(self) -> Mapping[str, int]:
        """Return the number of offsets after the polled ones, by topic."""
        left = dict[str, int]()
        for tp in self.consumer.assignment():
            at = reading(self.consumer, tp)
            left[tp.topic] = left.get(tp.topic, 0) + max((at.end or 0) - (at.position or at.end or 0), 0)
        return left


def _where(tp: TopicPartition) -> Where:
    return tp.topic, tp.partition
