"""One event's journey, in order. A reader starts here.

A poll is one unit of work, all or nothing: whatever raises between the first step and the last leaves nothing acknowledged,
and the same records come again. Numbers in the comments are the steps of docs/design.md, "One event's journey".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Protocol

import msgspec

from models.recommender import QueryLike, Ranking
from streams.events.catalogue import Catalogue
from streams.events.dead_letter import dead_letter
from streams.events.decode import BadRecord, Deletion, EventDecoder
from streams.events.records import Event, RankedItem, Recommendation, recommendation_id
from streams.kafka.outbox import NO_HEADERS, Outbox
from streams.kafka.record import Record
from streams.observing.observer import Observer
from streams.rules import Rules, Topics
from streams.sessions.deletion import marker_key, pack_marker
from streams.sessions.states import States
from streams.sessions.step import Outcome, State, dwell, not_again, owner, pack, session_key, state_key, step, user_key
from streams.sessions.store import Changes, SessionStore
from streams.work import UNKNOWN, Trigger, Work

PUBLISHED_PREFIX = 10
_encode = msgspec.json.Encoder().encode


class Ranker(Protocol):
    """Ranks off the event loop."""

    async def rank(self, queries: Sequence[QueryLike], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """The rankings, the most popular items beside them, and the model's version."""
        ...


class Delivery(Protocol):
    """Takes a unit's outputs, its changes and what it has done out of the process, so that no crash undoes them."""

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Returns, per partition, the changelog's last offset. Raises if anything was not confirmed.

        ``generation`` is the consumer group's when the unit was polled; `Abandoned` if the partitions are ours no more.
        """
        ...


class Pipeline:
    """Takes units of work through the journey. One unit at a time."""

    def __init__(
        self,
        *,
        decoder: EventDecoder,
        store: SessionStore,
        ranker: Ranker,
        delivery: Delivery,
        catalogue: Catalogue,
        observer: Observer,
        topics: Topics,
        rules: Rules,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._decoder = decoder
        self._store = store
        self._ranker = ranker
        self._delivery = delivery
        self._catalogue = catalogue
        self._observer = observer
        self._topics = topics
        self._rules = rules
        self._now = now
        self._generation = -1
        self._states = States(store)

    async def process(self, records: Mapping[int, Sequence[Record]], generation: int) -> None:
        """Take one poll's records, per partition of the events topic in offset order, through the whole journey.

        Raises `Abandoned` when the group has rebalanced; any other error must end the process.
        """
        observer = self._observer
        if generation != self._generation:
            self._store.refresh()
            self._states.refresh()
            observer.refresh()
            self._generation = generation
        with observer.stage("step"):
            work = Work()
            self._states.begin()
            for partition, of_partition in records.items():
                self._step_partition(work, partition, of_partition)
        with observer.stage("rank"):
            began = self._now()
            rankings, popular, version = await self._ranker.rank(work.triggers, self._rules.published)
        with observer.stage("test"):
            observer.test(work, rankings, popular)
        with observer.stage("publish"):
            self._publish(work, rankings, version, began)
        with observer.stage("deliver"):
            changelog = await self._delivery.deliver(work.outbox, work.changes, generation)
        with observer.stage("store"):
            for partition, changes in work.changes.items():
                self._store.write(partition, changes, changelog[partition])
            self._states.stored()
        observer.done(work, rankings, self._now())

    # 2-4: decode, skip what is done, step the sessions in offset order

    def _step_partition(self, work: Work, partition: int, records: Sequence[Record]) -> None:
        watermark = self._store.watermark(partition)
        changes = work.changes[partition] = Changes(watermark=max(watermark, records[-1].offset))
        touched: dict[bytes, tuple[int, State]] = {}
        markers, secret = self._store.markers(partition), self._rules.deleting.secret
        transitions = work.outbox.to(self._topics.transitions, 0)
        for record in records:
            if record.offset <= watermark:
                work.outcomes.append((UNKNOWN, "replayed"))
                continue
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
            if record.key != key[2:]:  # state belongs to the partition that the event came in on, whatever its key
                work.counts["keys", "null" if record.key is None else "mismatch"] += 1
            if markers and event.timestamp <= markers.get(marker_key(owner(event), secret), -1):
                work.outcomes.append((event.event_type, "before_deletion"))
                continue
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
        _keep(changes, touched)
        self._expire(work, partition, changes, records[-1])

    def _delete(self, work: Work, partition: int, record: Record, deletion: Deletion) -> None:
        """Empty the states of a user or anonymous session, and leave a marker."""
        for key in (user_key(deletion.key), session_key(deletion.key)):
            for session in self._states.get(partition, key).sessions:
                self._observer.forget((partition, key, session.first_offset))
            self._states.empty(partition, key)
        mark = marker_key(deletion.key, self._rules.deleting.secret)
        work.changes[partition].markers[mark] = pack_marker(record.timestamp, record.offset)
        work.removals.append((len(work.triggers), partition, deletion.key.encode()))
        work.outcomes.append((UNKNOWN, "deleted"))

    def _decode(self, work: Work, record: Record) -> Event | Deletion | None:
        """The record's event; ``None`` for a bad record, which is buried."""
        try:
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
            work.counts["dead_letters", bad.reason] += 1
            work.outcomes.append((UNKNOWN, "dead_letter"))
            return None

    def _expire(self, work: Work, partition: int, changes: Changes, last: Record) -> None:
        """Remove some of what has expired, but for what this unit has touched."""
        rules = self._rules
        for key in self._store.expired(partition, last.timestamp, rules.session_ttl_ms, rules.deleting.ttl_ms):
            if not (key in changes.states or key in changes.markers or key in changes.removals):
                changes.removals[key] = last.offset
                self._states.empty(partition, key)
                work.counts["expired",] += 1

    # 7: what leaves the process

    def _publish(self, work: Work, rankings: Sequence[Ranking], version: int, began: float) -> None:
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
        work.counts["transitions",] += len(work.outbox.to(self._topics.transitions, 0))

    def _remove(self, work: Work, removals: list[tuple[int, int, bytes]], published: int) -> None:
        """Where a user was deleted, his recommendations are too: in their turn, as he may come back."""
        while removals and removals[-1][0] <= published:
            _, partition, key = removals.pop()
            work.outbox.to(self._topics.recommendations, partition).append((key, None, NO_HEADERS))


def _keep(changes: Changes, touched: Mapping[bytes, tuple[int, State]]) -> None:
    """What a unit's states are at its end, each as of the source offset that touched it last."""
    for key, (offset, state) in touched.items():
        if state.sessions:
            changes.states[key] = pack(state, offset)
        else:
            changes.removals[key] = offset


def ranked_items(ranking: Ranking) -> list[RankedItem]:
    """A ranking as it is published."""
    return list(map(RankedItem, ranking.items, ranking.scores, count(1), ranking.reasons, ranking.because))
