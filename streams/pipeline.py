"""One event's journey, in order. Start reading here.

`Pipeline.process` takes one unit of work through these steps; the comments carry their numbers, and
docs/design.md describes them under "One event's journey".

1. Poll     One poll of the events partitions is one unit of work. The engine polls.
2. Decode   A record becomes an event or a deletion. An invalid one becomes a dead letter.
3. Skip     Records at or below the partition's watermark are processed already, and so are events
            whose ids the session has seen.
4. Step     Each event changes its session, in offset order. It may make a transition, and it may
            trigger a ranking.
5. Rank     The model thread ranks for all triggers in one batch.
6. Test     Was each event's item in the previous ranking of its session?
7. Deliver  Outputs first, then the changelog with the watermark, each confirmed by Kafka.
8. Store    One RocksDB write batch per partition. Then the caller acknowledges the unit.

A unit is all or nothing: if a step raises, nothing is acknowledged, and its records are read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from models.recommender import QueryLike, Ranking
from streams.events.dead_letter import check_readable, dead_letter
from streams.events.decode import BadRecord, Deletion, EventDecoder
from streams.events.records import Event, Recommendation, ranked_items, recommendation_id
from streams.kafka.outbox import NO_HEADERS, Outbox
from streams.kafka.record import KafkaRecord
from streams.observing.observer import Observer
from streams.rules import Rules, Topics
from streams.sessions.deletion import marker_key, pack_marker
from streams.sessions.states import States
from streams.sessions.step import Outcome, State, dwell, not_again, owner, pack, session_key, state_key, step, user_key
from streams.sessions.store import Changes, SessionStore
from streams.work import UNKNOWN, Trigger, Work

PUBLISHED_PREFIX = 10
"""Items of the prefix that a recommendation shows, the latest last."""
_encode = msgspec.json.Encoder().encode


class Pipeline:
    """Takes units of work through the journey, one at a time, on the thread of the event loop."""

    def __init__(
        self,
        *,
        decoder: EventDecoder,
        store: SessionStore,
        ranker: Ranker,
        delivery: Delivery,
        observer: Observer,
        topics: Topics,
        rules: Rules,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._decoder = decoder
        self._store = store
        self._ranker = ranker
        self._delivery = delivery
        self._observer = observer
        self._topics = topics
        self._rules = rules
        self._now = now
        self._generation = -1
        self._states = States(store)

    async def process(self, records: Mapping[int, Sequence[KafkaRecord]], generation: int) -> None:
        """Take one unit through the whole journey.

        ``records`` are those of one poll: per partition of the events topic, in offset order, never
        an empty sequence. ``generation`` is the consumer group's at that poll. Once this returns,
        everything is confirmed and stored, and the caller may acknowledge the unit. Raises
        `Abandoned` if the group has rebalanced. Any other error must end the process.
        """
        observer = self._observer
        if generation != self._generation:  # partitions may have moved
            self._store.refresh()
            self._states.refresh()
            observer.refresh()
            self._generation = generation

        # 1. These records are one unit of work.
        work = Work()
        # 2, 3, 4. Decode, skip, step.
        with observer.stage("step"):
            self._states.begin()
            for partition, of_partition in records.items():
                self._step_partition(work, partition, of_partition)
        # 5. Rank.
        with observer.stage("rank"):
            began = self._now()
            rankings, popular, version = await self._ranker.rank(work.triggers, self._rules.published)
        # 6. Test.
        with observer.stage("test"):
            observer.test(work, rankings, popular)
        # 7. Deliver.
        with observer.stage("publish"):
            self._publish(work, rankings, version, began)
        with observer.stage("deliver"):
            changelog = await self._delivery.deliver(work.outbox, work.changes, generation)
        # 8. Store.
        with observer.stage("store"):
            for partition, changes in work.changes.items():
                self._store.write(partition, changes, changelog[partition])
            self._states.stored()
        observer.done(work, rankings, self._now())

    # Steps 2 to 4

    def _step_partition(self, work: Work, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Decode the records of a partition, skip those that are done, and step their sessions."""
        watermark = self._store.watermark(partition)
        changes = work.changes[partition] = Changes(watermark=max(watermark, records[-1].offset))
        touched: dict[bytes, tuple[int, State]] = {}
        markers, secret = self._store.markers(partition), self._rules.deleting.secret
        transitions = work.outbox.to(self._topics.transitions, 0)
        for record in records:
            # 3. Skip what is done. This comes before decoding because it is cheaper.
            if record.offset <= watermark:
                work.outcomes.append((UNKNOWN, "replayed"))
                continue
            # 2. Decode.
            event = self._decode(work, record)
            if event is None:
                continue
            if isinstance(event, Deletion):
                self._delete(work, partition, record, event)
                emptied = user_key(event.key), session_key(event.key)
                touched |= {key: (record.offset, self._states.get(partition, key)) for key in emptied}
                markers = {**markers, marker_key(event.key, secret): record.timestamp}
                continue
            key = state_key(event)
            if record.key != key[2:]:  # accepted: state belongs to the partition, whatever the key
                work.counts.foreign_key("null" if record.key is None else "mismatch")
            if markers and event.timestamp <= markers.get(marker_key(owner(event), secret), -1):
                work.outcomes.append((event.event_type, "before_deletion"))
                continue
            # 4. Step.
            state = self._states.get(partition, key)
            result = step(state, event, partition, record.offset, record.timestamp, self._rules.session_gap_ms)
            work.outcomes.append((event.event_type, result.outcome))
            session = result.session
            if session is None:
                if result.outcome is Outcome.IMPRESSION and event.recommendation_id is not None:
                    work.impressions.append(event)
                continue
            touched[key] = record.offset, state
            if result.transition is not None:
                transitions.append((None, _encode(result.transition), NO_HEADERS))
            if result.triggers:
                prefix = [interaction.item_id for interaction in session.prefix]
                name = (partition, key, session.first_offset)
                excluded = not_again(session, self._rules.exclude)
                per_expert = self._observer.samples(record.offset)
                work.triggers.append(
                    Trigger(
                        event, record, name, result.outcome, prefix, excluded, session.length, dwell(session.prefix), per_expert
                    )
                )
        _pack_touched(changes, touched)
        self._expire(work, partition, changes, records[-1])

    def _decode(self, work: Work, record: KafkaRecord) -> Event | Deletion | None:
        """Decode one record. An invalid one becomes a dead letter, and ``None`` is returned."""
        try:
            check_readable(record)
            return self._decoder.decode(
                record.key,
                record.value,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                timestamp_ms=record.timestamp,
                headers=record.headers,
            )
        except BadRecord as bad:
            letter = dead_letter(record, bad, self._rules.max_dead_letter_bytes)
            work.outbox.to(self._topics.dead_letters, record.partition).append(letter)
            work.counts.dead_letter(bad.reason)
            work.outcomes.append((UNKNOWN, "dead_letter"))
            return None

    def _delete(self, work: Work, partition: int, record: KafkaRecord, deletion: Deletion) -> None:
        """Empty the states of a user or anonymous session, and leave a marker."""
        for key in (user_key(deletion.key), session_key(deletion.key)):
            for session in self._states.get(partition, key).sessions:
                self._observer.forget((partition, key, session.first_offset))
            self._states.empty(partition, key)
        mark = marker_key(deletion.key, self._rules.deleting.secret)
        work.changes[partition].markers[mark] = pack_marker(record.timestamp, record.offset)
        work.removals.append((len(work.triggers), partition, deletion.key.encode()))
        work.outcomes.append((UNKNOWN, "deleted"))

    def _expire(self, work: Work, partition: int, changes: Changes, last: KafkaRecord) -> None:
        """Remove some states and markers that have expired. Those that the unit touches stay."""
        rules = self._rules
        for key in self._store.expired(partition, last.timestamp, rules.session_ttl_ms, rules.deleting.ttl_ms):
            if not (key in changes.states or key in changes.markers or key in changes.removals):
                changes.removals[key] = last.offset
                self._states.empty(partition, key)
                work.counts.expired()

    # Step 7

    def _publish(self, work: Work, rankings: Sequence[Ranking], version: int, began: float) -> None:
        """Put the recommendations and the tombstones of deleted users into the outbox, in order."""
        now = self._now()
        took_ms = round((now - began) * 1000, 3)
        removals = work.removals[::-1]
        outputs = {partition: work.outbox.to(self._topics.recommendations, partition) for partition in work.changes}
        for number, (trigger, ranking) in enumerate(zip(work.triggers, rankings, strict=True)):
            if removals:
                self._remove(work, removals, number)
            event, record = trigger.event, trigger.record
            recommendation = Recommendation(
                recommendation_id=recommendation_id(record.topic, record.partition, record.offset),
                user_id=event.user_id,
                session_id=event.session_id,
                generated_at=int(now * 1000),
                trigger_event_id=event.event_id,
                trigger_offset=record.offset,
                model_version=version,
                strategy=ranking.strategy,
                prefix=trigger.prefix[-PUBLISHED_PREFIX:],
                items=ranked_items(ranking),
                took_ms=took_ms,
            )
            key = record.key if record.key is not None else trigger.name[1][2:]
            outputs[record.partition].append((key, _encode(recommendation), NO_HEADERS))
        self._remove(work, removals, len(work.triggers))
        work.counts.transition(len(work.outbox.to(self._topics.transitions, 0)))

    def _remove(self, work: Work, removals: list[tuple[int, int, bytes]], published: int) -> None:
        """Tombstone the recommendations of users who were deleted before trigger ``published``.

        The order matters: a user may come back later in the same unit.
        """
        while removals and removals[-1][0] <= published:
            _, partition, key = removals.pop()
            work.outbox.to(self._topics.recommendations, partition).append((key, None, NO_HEADERS))


def _pack_touched(changes: Changes, touched: Mapping[bytes, tuple[int, State]]) -> None:
    """Add the states as they are at the unit's end, each with the last offset that touched it."""
    for key, (offset, state) in touched.items():
        if state.sessions:
            changes.states[key] = pack(state, offset)
        else:
            changes.removals[key] = offset


# The parts that the journey calls


class Ranker(Protocol):
    """Ranks for the journey; a worker uses `streams.learning.ranking.ThreadRanker`.

    An example that recommends no item:

        class Nothing:
            async def rank(self, queries, k):
                return [Ranking([], [], [], [], "none")] * len(queries), [], 0
    """

    async def rank(self, queries: Sequence[QueryLike], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """Return a ranking of ``k`` items per query, the most popular items, the model's version.

        `Pipeline` awaits it on the event loop in step 5, once per unit, also for a unit without
        triggers. It must leave the loop free, so the model computes on another thread. Before:
        every session of the unit has been stepped. After: there is one ranking per query, in the
        order of the queries, and the model is unchanged.
        """
        ...


class Delivery(Protocol):
    """Sends a unit to Kafka; `streams.delivery` has one implementation per value of the setting.

    An example that sends nothing:

        class Discard:
            async def deliver(self, outputs, changes, generation):
                return dict.fromkeys(changes, 0)
    """

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Send the outputs, then the changelog; return its last offset per partition.

        `Pipeline` awaits it on the event loop in step 7, once per unit. Before: nothing of the unit
        has left the process, and ``generation`` is the group's when the unit was polled. After:
        Kafka has confirmed every record, so that no crash undoes the unit. Raises `Abandoned` if
        this worker has lost the partitions, and another error if a record was not confirmed.
        """
        ...
