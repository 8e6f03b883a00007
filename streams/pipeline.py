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
from streams.delivery.outbox import Delivery, Outbox
from streams.records import Event, RankedItem, Recommendation, recommendation_id
from streams.sessions import Outcome, Session, State, Step, pack, session_key, state_key, step, unpack, user_key
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
    max_dead_letter_bytes: int = 900_000


class Trigger(NamedTuple):
    """An event that asks for a ranking, with what was known right after it."""

    event: Event
    record: Record
    name: SessionName
    step: Step
    prefix: list[str]
    query: Query


@dataclass(slots=True)
class Work:
    """What one unit amounts to before anything has left the process."""

    triggers: list[Trigger] = field(default_factory=list)
    outbox: Outbox = field(default_factory=Outbox)
    changes: dict[int, Changes] = field(default_factory=dict)
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
            rankings, popular, version = await self._ranker.rank([t.query for t in work.triggers], self._rules.published)
        with telemetry.stage("publish"):
            self._test(work.triggers, rankings, popular)
            self._publish(work, rankings, version, began)
        with telemetry.stage("deliver"):
            changelog = await self._delivery.deliver(work.outbox, self._changelog(work), generation)
        with telemetry.stage("store"):
            for partition, changes in work.changes.items():
                self._store.write(partition, changes, changelog[partition])
        telemetry.unit_done(work.counts, [trigger.record.timestamp for trigger in work.triggers], self._accuracy, self._now())

    # 2-4: decode, skip what is done, step the sessions in offset order

    def _step_partition(self, work: Work, partition: int, records: Sequence[Record]) -> None:
        watermark = self._store.watermark(partition)
        changes = work.changes[partition] = Changes(watermark=max(watermark, records[-1].offset))
        states: dict[bytes, State] = {}
        touched: dict[bytes, int] = {}
        for record in records:
            if record.offset <= watermark:
                work.counts["events", "replayed"] += 1
                continue
            try:
                event = self._decoder.decode(
                    record.key,
                    record.value,
                    topic=record.topic,
                    partition=partition,
                    offset=record.offset,
                    timestamp_ms=record.timestamp,
                    headers=record.headers,
                )
            except BadRecord as bad:
                self._bury(work, record, bad)
                continue
            if isinstance(event, Deletion):
                for key in (user_key(event.key), session_key(event.key)):
                    states[key] = State()
                    touched[key] = record.offset
                work.counts["events", "deleted"] += 1
                continue
            key = state_key(event)
            state = states.get(key)
            if state is None:
                stored = self._store.get(partition, key)
                state = states[key] = State() if stored is None else unpack(stored)
            _count_key(work, record, event)
            result = step(state, event, partition, record.offset, record.timestamp, self._rules.session_gap_ms)
            work.counts["events", result.outcome] += 1
            if result.session is None:
                continue
            touched[key] = record.offset
            self._collect(work, event, record, result, key)
        for key, offset in touched.items():
            state = states[key]
            changes.states[key] = (offset, pack(state, offset) if state.sessions else None)
        changes.states.update(self._expired(work, partition, records[-1], touched))

    def _collect(self, work: Work, event: Event, record: Record, result: Step, key: bytes) -> None:
        session = result.session
        assert session is not None
        if result.transition is not None:
            work.outbox.add(self._topics.transitions, 0, None, _encode(result.transition))
            work.counts["transitions", ""] += 1
        if result.triggers:
            prefix = [interaction.item_id for interaction in session.prefix]
            name = SessionName(record.partition, key, session.first_offset)
            query = Query(prefix, frozenset(session.suppressed))
            work.triggers.append(Trigger(event, record, name, result, prefix, query))

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
        work.outbox.add(self._topics.dead_letters, record.partition, key, value, headers)
        work.counts["dead_letters", bad.reason] += 1
        work.counts["events", "dead_letter"] += 1

    def _expired(self, work: Work, partition: int, last: Record, touched: Mapping[bytes, int]) -> dict[bytes, tuple[int, None]]:
        keys = self._store.expired(partition, last.timestamp, self._rules.session_ttl_ms)
        gone: dict[bytes, tuple[int, None]] = {key: (last.offset, None) for key in keys if key not in touched}
        work.counts["expired", ""] += len(gone)
        return gone

    # 6: test each event's item against the ranking of the same session's previous event

    def _test(self, triggers: Sequence[Trigger], rankings: Sequence[Ranking], popular: Sequence[str]) -> None:
        for trigger, ranking in zip(triggers, rankings, strict=True):
            if trigger.step.outcome is Outcome.ACCEPTED:
                first = _began_now(trigger.step.session, trigger.record)
                self._accuracy.test(trigger.name, trigger.event.item_id, popular, first=first)
            self._accuracy.remember(trigger.name, ranking.items)

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
            key = record.key if record.key is not None else trigger.name.key[2:]
            work.outbox.add(self._topics.recommendations, record.partition, key, _encode(recommendation))
        work.counts["recommendations", ""] += len(work.triggers)

    def _changelog(self, work: Work) -> Outbox:
        """Per partition the changed sessions, and the watermark as the last record."""
        outbox = Outbox()
        for partition, changes in work.changes.items():
            for key, value, headers in changes.changelog():
                outbox.add(self._topics.changelog, partition, key, value, headers)
        return outbox


def ranked_items(ranking: Ranking) -> list[RankedItem]:
    """A ranking as it is published."""
    return [
        RankedItem(item_id=item, score=score, rank=rank, reason=reason, because_item_id=because)
        for rank, (item, score, reason, because) in enumerate(
            zip(ranking.items, ranking.scores, ranking.reasons, ranking.because, strict=True), start=1
        )
    ]


def _began_now(session: Session | None, record: Record) -> bool:
    return session is not None and session.first_offset == record.offset


def _count_key(work: Work, record: Record, event: Event) -> None:
    """State belongs to the partition that the event came in on, so another key is accepted, and counted."""
    owner = event.user_id if event.user_id is not None else event.session_id
    if record.key is None:
        work.counts["keys", "null"] += 1
    elif owner is None or record.key != owner.encode():
        work.counts["keys", "mismatch"] += 1
