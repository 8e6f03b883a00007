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
6. Deliver  Outputs first, then the changelog with the watermark, each confirmed by Kafka.
7. Store    One RocksDB write batch per partition.
8. Test     Was each event's item in the previous ranking of its session?

Then the caller acknowledges the unit. A unit is all or nothing: if a step raises, nothing is
acknowledged, and its records are read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from models.recommender import Ranking
from streams.events.dead_letter import as_first, check_readable, dead_letter
from streams.events.decode import BadRecord, Decoded, Deletion, EventDecoder
from streams.events.records import POPULAR_KEY, Event, Recommendation, ranked_items, recommendation_id
from streams.kafka.outbox import NO_HEADERS
from streams.observing.observer import Observer
from streams.parts import Delivery, Ranker
from streams.rules import Rules, Topics
from streams.sessions.deletion import marker_key, pack_marker
from streams.sessions.states import States
from streams.sessions.step import (
    Outcome,
    Session,
    Source,
    State,
    Step,
    dwell,
    not_again,
    owner,
    pack,
    session_key,
    state_key,
    step,
    user_key,
)
from streams.sessions.store import Changes, SessionStore
from streams.wire.record import KafkaRecord
from streams.work import UNKNOWN, Trigger, Work

PUBLISHED_PREFIX = 10
"""Items of the prefix that a recommendation shows, the latest last."""
MAX_KEY_BYTES = 4096
"""A longer record key is not that of a user. An output with it may be too large for its topic."""
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
        self._generation, self._states = -1, States(store)

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
        # 6. Deliver.
        with observer.stage("publish"):
            self._publish(work, rankings, version, began)
        with observer.stage("deliver"):
            changelog = await self._delivery.deliver(work.outbox, work.changes, generation)
        # 7. Store.
        with observer.stage("store"):
            for partition, changes in work.changes.items():
                self._store.write(partition, changes, changelog[partition])
            self._states.stored(work.changes)
        # 8. Test. This is last, so that an abandoned unit is tested only when it is done.
        done_at = self._now()
        with observer.stage("test"):
            observer.test(work, rankings, popular)
        observer.done(work, rankings, done_at)

    # Steps 2 to 4

    def _step_partition(self, work: Work, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Decode the records of a partition, skip those that are done, and step their sessions."""
        watermark = self._store.watermark(partition)
        changes = work.changes[partition] = Changes(watermark=max(watermark, records[-1].offset))
        touched: dict[bytes, tuple[int, State]] = {}
        markers, secret = self._store.markers(partition), self._rules.deleting.secret
        transitions = work.outbox.to(self._topics.transitions, 0)
        for polled in records:
            # 3. Skip what is done. This comes before decoding because it is cheaper.
            if polled.offset <= watermark:
                work.outcomes.append((UNKNOWN, "replayed"))
                continue
            # 2. Decode.
            record, first_id = as_first(polled)
            decoded = self._decode(work, record, first_id)
            if decoded is None:
                continue
            if (deletion := decoded.deletion) is not None:
                self._delete(work, partition, record, deletion)
                emptied = user_key(deletion.key), session_key(deletion.key)
                touched |= {key: (record.offset, self._states.get(partition, key)) for key in emptied}
                markers = {**markers, marker_key(deletion.key, secret): record.timestamp}
                continue
            # 4. Step. Several events of one record trigger one ranking per user, after the last.
            triggers: dict[bytes, Trigger] = {}
            for number, event in enumerate(decoded.events):
                key = state_key(event)
                if markers and event.timestamp <= markers.get(marker_key(owner(event), secret), -1):
                    work.outcomes.append((event.event_type, "before_deletion"))
                    continue
                source = Source(partition, record.offset, record.timestamp, number)
                result, state = self._step(work, key, event, source)
                if result.session is None:
                    continue
                touched[key] = record.offset, state
                if result.transition is not None:
                    transitions.append((None, _encode(result.transition), NO_HEADERS))
                if result.triggers:
                    triggers[key] = self._trigger(event, polled, key, result.outcome, result.session)
            work.triggers += triggers.values()
            self._count_keys(work, record, decoded.events)
        _pack_touched(changes, touched)
        self._expire(work, partition, changes, records[-1])

    def _decode(self, work: Work, record: KafkaRecord, first_id: str | None) -> Decoded | None:
        """Decode one record. An invalid one becomes a dead letter, and ``None`` is returned."""
        try:
            check_readable(record)
            decoded = self._decoder.decode_record(record, first_id)
        except BadRecord as bad:
            for note in bad.notes:
                work.counts.note(note, (record.topic, record.partition, record.offset))
            self._reject(work, record, bad, first_id)
            return None
        for note in decoded.notes:
            work.counts.note(note, (record.topic, record.partition, record.offset))
        if decoded.bad is not None:
            self._reject(work, record, decoded.bad, first_id)
        elif not (decoded.events or decoded.deletion):
            work.outcomes.append((UNKNOWN, "ignored"))
        return decoded

    def _reject(self, work: Work, record: KafkaRecord, bad: BadRecord, first_id: str | None) -> None:
        letter = dead_letter(record, bad, self._rules.max_dead_letter_bytes, first_id)
        work.outbox.to(self._topics.dead_letters, record.partition).append(letter)
        work.counts.dead_letter(bad.reason)
        work.outcomes.append((UNKNOWN, "dead_letter"))

    def _step(self, work: Work, key: bytes, event: Event, source: Source) -> tuple[Step, State]:
        state = self._states.get(source.partition, key)
        result = step(state, event, source, self._rules.limits)
        work.outcomes.append((event.event_type, result.outcome))
        if result.outcome is Outcome.IMPRESSION and event.recommendation_id is not None:
            work.impressions.append(event)
        return result, state

    def _trigger(self, event: Event, record: KafkaRecord, key: bytes, outcome: Outcome, session: Session) -> Trigger:
        prefix = [interaction.item_id for interaction in session.prefix]
        name = (record.partition, key, session.first_offset)
        excluded, per_expert = not_again(session, self._rules.exclude), self._observer.samples(record.offset)
        return Trigger(event, record, name, outcome, prefix, excluded, session.length, dwell(session.prefix), per_expert)

    def _count_keys(self, work: Work, record: KafkaRecord, events: Sequence[Event]) -> None:
        """Count events under another key. They are used: state belongs to the partition."""
        for event in events:
            if record.key != state_key(event)[2:]:
                work.counts.foreign_key("null" if record.key is None else "mismatch")

    def _delete(self, work: Work, partition: int, record: KafkaRecord, deletion: Deletion) -> None:
        """Empty the states of a user or anonymous session, and leave a marker."""
        for key in (user_key(deletion.key), session_key(deletion.key)):
            for session in self._states.get(partition, key).sessions:
                work.forgotten.append((partition, key, session.first_offset))
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

    # Step 6

    def _publish(self, work: Work, rankings: Sequence[Ranking], version: int, began: float) -> None:
        """Put the recommendations and the tombstones of deleted users into the outbox, in order."""
        took_ms = round(((now := self._now()) - began) * 1000, 3)
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
            key = _output_key(record.key, trigger.name[1][2:])
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


def _output_key(key: bytes | None, owner: bytes) -> bytes:
    """Return the key of a recommendation: that of its event, or the ``owner`` if that cannot be.

    Consumers show the ranking under `POPULAR_KEY` to everybody, so no user's may be there.
    """
    return owner if key is None or key == POPULAR_KEY or len(key) > MAX_KEY_BYTES else key


def _pack_touched(changes: Changes, touched: Mapping[bytes, tuple[int, State]]) -> None:
    """Add the states as they are at the unit's end, each with the last offset that touched it."""
    for key, (offset, state) in touched.items():
        if state.sessions:
            changes.states[key] = pack(state, offset)
        else:
            changes.removals[key] = offset
