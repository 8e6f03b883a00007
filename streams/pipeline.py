"""One event's journey, in order. A reader starts here.

A poll is one unit of work, all or nothing: whatever raises between the first step and the last leaves nothing acknowledged,
and the same records come again. Numbers in the comments are the steps of docs/design.md, "One event's journey".
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from models.recommender import Query, Ranking
from streams.accuracy import LiveAccuracy, SessionName
from streams.catalogue import Catalogue
from streams.decode import BadRecord, Deletion, EventDecoder
from streams.delivery.outbox import NO_HEADERS, Delivery, Outbox
from streams.records import Event, RankedItem, Recommendation, recommendation_id
from streams.sessions import Outcome, State, dwell, not_again, pack, session_key, state_key, step, unpack, user_key
from streams.store import Changes, SessionStore
from streams.telemetry import Telemetry

PUBLISHED_PREFIX = 10
_encode = msgspec.json.Encoder().encode


class Record(Protocol):
    """A raw Kafka record; ``timestamp`` is Kafka time, epoch ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Ranker(Protocol):
    """Ranks off the event loop."""

    async def rank(self, queries: Sequence[Query], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """The rankings, the most popular items beside them, and the model's version."""
        ...


class Topics(NamedTuple):
    """The names that the journey writes to."""

    recommendations: str
    transitions: str
    dead_letters: str
    changelog: str


class Rules(NamedTuple):
    """The settings that the journey depends on."""

    session_gap_ms: int
    session_ttl_ms: int
    published: int
    exclude: str = "nothing"
    max_dead_letter_bytes: int = 900_000


class Trigger(msgspec.Struct, gc=False):
    """An event that asks for a ranking, with what was known right after it."""

    event: Event
    record: Record
    name: SessionName
    outcome: Outcome
    prefix: list[str]


@dataclass(slots=True)
class Work:
    """What one unit amounts to before anything has left the process."""

    triggers: list[Trigger] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    outbox: Outbox = field(default_factory=Outbox)
    changes: dict[int, Changes] = field(default_factory=dict)
    outcomes: list[str] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)


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
        accuracy: LiveAccuracy,
        telemetry: Telemetry,
        topics: Topics,
        rules: Rules,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._decoder = decoder
        self._store = store
        self._ranker = ranker
        self._delivery = delivery
        self._catalogue = catalogue
        self._accuracy = accuracy
        self._telemetry = telemetry
        self._topics = topics
        self._rules = rules
        self._now = now

    async def process(self, records: Mapping[int, Sequence[Record]], generation: int) -> None:
        """Take one poll's records, per partition of the events topic in offset order, through the whole journey.

        Raises `Abandoned` when the group has rebalanced; any other error must end the process.
        """
        telemetry = self._telemetry
        with telemetry.stage("step"):
            work = Work()
            for partition, of_partition in records.items():
                self._step_partition(work, partition, of_partition)
        with telemetry.stage("rank"):
            began = self._now()
            rankings, popular, version = await self._ranker.rank(work.queries, self._rules.published)
        with telemetry.stage("publish"):
            self._test(work.triggers, rankings, popular)
            self._publish(work, rankings, version, began)
        with telemetry.stage("deliver"):
            changelog = await self._delivery.deliver(work.outbox, self._changelog(work), generation)
        with telemetry.stage("store"):
            for partition, changes in work.changes.items():
                self._store.write(partition, changes, changelog[partition])
        kafka_times = [trigger.record.timestamp for trigger in work.triggers]
        telemetry.unit_done(work.outcomes, work.counts, kafka_times, self._accuracy, self._now())

    # 2-4: decode, skip what is done, step the sessions in offset order

    def _step_partition(self, work: Work, partition: int, records: Sequence[Record]) -> None:
        watermark = self._store.watermark(partition)
        changes = work.changes[partition] = Changes(watermark=max(watermark, records[-1].offset))
        states: dict[bytes, State] = {}
        touched: dict[bytes, int] = {}
        transitions = work.outbox.to(self._topics.transitions, 0)
        for record in records:
            if record.offset <= watermark:
                work.outcomes.append("replayed")
                continue
            event = self._decode(work, record)
            if event is None:
                continue
            if isinstance(event, Deletion):
                for key in (user_key(event.key), session_key(event.key)):
                    states[key] = State()
                    touched[key] = record.offset
                work.outcomes.append("deleted")
                continue
            key = state_key(event)
            state = states.get(key)
            if state is None:
                stored = self._store.get(partition, key)
                state = states[key] = State() if stored is None else unpack(stored)
            result = step(state, event, partition, record.offset, record.timestamp, self._rules.session_gap_ms)
            work.outcomes.append(result.outcome)
            session = result.session
            if session is None:
                continue
            touched[key] = record.offset
            if result.transition is not None:
                transitions.append((None, _encode(result.transition), NO_HEADERS))
            if result.triggers:
                prefix = [interaction.item_id for interaction in session.prefix]
                name = (partition, key, session.first_offset)
                work.triggers.append(Trigger(event, record, name, result.outcome, prefix))
                excluded = not_again(session, self._rules.exclude)
                work.queries.append(Query(prefix, excluded, session.length, dwell(session.prefix)))
        for key, offset in touched.items():
            state = states[key]
            changes.states[key] = (offset, pack(state, offset) if state.sessions else None)
        changes.states.update(self._expired(work, partition, records[-1], touched))

    def _decode(self, work: Work, record: Record) -> Event | Deletion | None:
        """The record's event; ``None`` for a bad record, which is buried."""
        try:
            event = self._decoder.decode(
                record.key,
                record.value,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                timestamp_ms=record.timestamp,
                headers=record.headers,
            )
        except BadRecord as bad:
            self._bury(work, record, bad)
            return None
        if isinstance(event, Event):
            _count_key(work, record, event)
        return event

    def _bury(self, work: Work, record: Record, bad: BadRecord) -> None:
        """One dead letter: the original bytes, cut if no topic would take them, and where to find them."""
        headers = [
            ("reason", bad.reason.encode()),
            ("detail", bad.detail.encode()[:1000]),
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
        ]
        key, value, limit = record.key, record.value, self._rules.max_dead_letter_bytes
        if key is not None and len(key) > limit // 2:
            headers.append(("key_length", str(len(key)).encode()))
            key = key[: limit // 2]
        if value is not None and len(value) > limit // 2:
            headers.append(("value_length", str(len(value)).encode()))
            value = value[: limit // 2]
        work.outbox.to(self._topics.dead_letters, record.partition).append((key, value, headers))
        work.counts["dead_letters", bad.reason] += 1
        work.outcomes.append("dead_letter")

    def _expired(self, work: Work, partition: int, last: Record, touched: Mapping[bytes, int]) -> dict[bytes, tuple[int, None]]:
        keys = self._store.expired(partition, last.timestamp, self._rules.session_ttl_ms)
        gone: dict[bytes, tuple[int, None]] = {key: (last.offset, None) for key in keys if key not in touched}
        work.counts["expired", ""] += len(gone)
        return gone

    # 6: test each event's item against the ranking of the same session's previous event

    def _test(self, triggers: Sequence[Trigger], rankings: Sequence[Ranking], popular: Sequence[str]) -> None:
        accuracy = self._accuracy
        for trigger, ranking in zip(triggers, rankings, strict=True):
            name = trigger.name
            if trigger.outcome is Outcome.ACCEPTED and name[2] != trigger.record.offset:
                accuracy.test(name, trigger.event.item_id, popular)
            accuracy.remember(name, ranking.items)

    # 7: what leaves the process

    def _publish(self, work: Work, rankings: Sequence[Ranking], version: int, began: float) -> None:
        now = self._now()
        took_ms = round((now - began) * 1000, 3)
        for trigger, ranking in zip(work.triggers, rankings, strict=True):
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
            outputs = work.outbox.to(self._topics.recommendations, record.partition)
            outputs.append((key, _encode(recommendation), NO_HEADERS))
        work.counts["recommendations", ""] += len(work.triggers)
        work.counts["transitions", ""] += len(work.outbox.to(self._topics.transitions, 0))

    def _changelog(self, work: Work) -> Outbox:
        """Per partition the changed sessions, and the watermark as the last record."""
        outbox = Outbox()
        for partition, changes in work.changes.items():
            outbox.to(self._topics.changelog, partition).extend(changes.changelog())
        return outbox


def ranked_items(ranking: Ranking) -> list[RankedItem]:
    """A ranking as it is published."""
    ranks = range(1, len(ranking.items) + 1)
    return list(map(RankedItem, ranking.items, ranking.scores, ranks, ranking.reasons, ranking.because))


def _count_key(work: Work, record: Record, event: Event) -> None:
    """State belongs to the partition that the event came in on, so another key is accepted, and counted."""
    owner = event.user_id if event.user_id is not None else event.session_id
    if record.key is None:
        work.counts["keys", "null"] += 1
    elif owner is None or record.key != owner.encode():
        work.counts["keys", "mismatch"] += 1
