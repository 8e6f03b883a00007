"""Assembles the parts of one worker.

The worker's Faust app takes each unit of work through the journey, and acknowledges it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import cast

import structlog
from aiokafka import AIOKafkaProducer
from faust.types import StreamT

from streams.delivery.exactly_once import ExactlyOnceDelivery, transactional_id
from streams.delivery.foreign import ChangelogCustody
from streams.delivery.leased import LeasedDelivery
from streams.delivery.publisher import Publisher
from streams.engine.faust_app import create_app
from streams.engine.sensor import GroupSensor
from streams.engine.stall import Watchdog
from streams.engine.transactions import commit_as
from streams.engine.unit import Unit
from streams.engine.upstream import databases, open_databases, store_of
from streams.errors import Abandoned
from streams.events.decode import EventDecoder
from streams.events.records import POPULAR_KEY
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import read_range
from streams.kafka.outbox import NO_HEADERS, Outbox
from streams.kafka.reach import group_answers
from streams.kafka.retry import TEMPORARY, patiently
from streams.learning.replica import Replica
from streams.life import WorkerState
from streams.observing.disk import DiskWatch
from streams.observing.lag import LagWatch
from streams.observing.observer import MetricsObserver, Observer, Unobserved
from streams.observing.telemetry import Telemetry
from streams.parts import Ranker
from streams.pipeline import Pipeline
from streams.rules import rules_of, topics_of
from streams.sessions import changelog
from streams.sessions.deletion import Deleting
from streams.sessions.store import RocksStore, SessionStore
from streams.settings import Settings
from streams.tasks import Tasks
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

POPULAR_EVERY_S = 30.0
NOT_NOW: tuple[type[Exception], ...] = (Abandoned, *TEMPORARY)
"""Errors after which the next popularity ranking is sent instead."""
HEAD_SHARE = 0.8
"""The most popular items with this share of the events are the head of the catalogue."""


class Application:
    """One worker's Faust app with its agents, and the small background tasks beside them.

    ``hidden`` returns the items that must not be shown now.
    """

    def __init__(
        self,
        settings: Settings,
        decoder: EventDecoder,
        ranker: Ranker,
        hidden: Callable[[], frozenset[str]],
        telemetry: Telemetry,
        replica: Replica,
        deleting: Deleting,
        tasks: Tasks,
    ) -> None:
        self._settings = settings
        self._hidden = hidden
        self._telemetry = telemetry
        self._replica = replica
        self._tasks = tasks
        self._watches: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
        self.app = app = create_app(settings, changelog)
        app.fail_stop, app.on_recovered = tasks.fail, self._recovered
        app.on_foreign_bytes, app.on_retry = telemetry.sessions.refused.inc, telemetry.journey.retries.inc
        app.on_removed_events = telemetry.group.removed.inc
        app.on_foreign_election = telemetry.group.refused_elections.inc
        self.publisher = Publisher(lambda: app.producer.current, app.may_send)
        store = RocksStore(databases(app.sessions), store_of(app.sessions).offset_key)
        self._transactions = self._exactly_once(store) if app.exactly_once else None
        self.pipeline = Pipeline(
            decoder=decoder,
            store=store,
            ranker=ranker,
            delivery=self._transactions or self._leased(store),
            observer=self._observer(),
            topics=topics_of(settings),
            rules=rules_of(settings, deleting),
        )
        group = telemetry.group
        app.sensors.add(GroupSensor(group.rebalances.inc, group.rebalance_seconds.observe, group.commit_seconds.observe))
        app.agent(app.events_topic, name="recommend")(self._recommend)
        if settings.trainer == "elected":
            app.agent(app.learner_topic, name="learner")(self._election)

    def _assigned(self) -> frozenset[int]:
        """The partitions of the events topic that this worker owns."""
        return frozenset(tp.partition for tp in self.app.consumer.assignment() if tp.topic == self.app.events_name)

    def _recovered(self, seconds: float) -> None:
        log.info("assigned", partitions=sorted(self._assigned()), generation=self.generation, recovered_in_s=round(seconds, 3))
        self._telemetry.recovered(seconds)

    def _leased(self, store: SessionStore) -> LeasedDelivery:
        topic = self._settings.topic("sessions-changelog")

        async def read(partition: int, offsets: range) -> Sequence[KafkaRecord]:
            attempt = partial(read_range, topic, aiokafka_config(self._settings), partition, offsets)
            return await patiently(attempt, topic)

        custody = ChangelogCustody(self.publisher, store, read, topic, self._telemetry.journey.foreign_writes.inc)
        return LeasedDelivery(self.publisher, custody, topic, self._telemetry.parts)

    def _exactly_once(self, store: SessionStore) -> ExactlyOnceDelivery:
        app, name = self.app, transactional_id(self._settings)

        # functions, because Faust creates the consumer and the producer at their first use
        def new_producer() -> AIOKafkaProducer:
            return app.producer.new_transactional(name)

        def fence(producer: AIOKafkaProducer, generation: int) -> None:
            commit_as(producer, app.consumer.membership(generation))

        def committed(offsets: Mapping[int, int]) -> None:
            app.consumer.committed(offsets)

        timed = self._telemetry.parts["transaction"]
        return ExactlyOnceDelivery(self._settings, store, new_producer, fence, app.may_send, committed, timed)

    def _observer(self) -> Observer:
        """Return the metrics observer, or `Unobserved` if no metrics port is set.

        Also sets the watches that `start` runs beside the journey.
        """
        settings, telemetry = self._settings, self._telemetry
        if not settings.metrics_port:
            return Unobserved()
        observer = MetricsObserver(telemetry, settings.topic("events"), self._assigned)
        self._watches = (
            LagWatch(self.app, telemetry, lambda: self.elected, lambda: self._replica.lag).run,
            DiskWatch(settings.data_dir, lambda: open_databases(self.app.sessions), telemetry.sessions).run,
            partial(observer.follow_head, lambda: self._replica.head(HEAD_SHARE)),
        )
        return observer

    async def start(self) -> None:
        """Join the group. Returns when the sessions are recovered and events flow."""
        if self._transactions is not None:
            await self._transactions.start()
        settings = self._settings
        spawn, fail = self._tasks.spawn, self._tasks.fail
        spawn(Watchdog(self.app, settings.stall_timeout_s, partial(group_answers, settings), fail).run())
        await self.app.start()
        for watch in self._watches:
            spawn(watch())
        await self.app.wait_ready()
        spawn(self._publish_popular())

    async def stop(self) -> None:
        """Finish the unit in flight, commit, and leave the group."""
        await self.app.stop_cleanly()
        if self._transactions is not None:
            await self._transactions.stop()

    @property
    def state(self) -> WorkerState:
        """The state of the worker between its start and its stop."""
        if self.app.in_recovery:
            return WorkerState.RECOVERING
        recovered = self.app.tables.recovery.completed.is_set()
        return WorkerState.WORKING if recovered and not self.app.rebalancing else WorkerState.JOINING

    async def _recommend(self, stream: StreamT[bytes]) -> None:
        """Take each unit of events through the journey, and acknowledge it.

        This is the agent of the events topic. Any error except `Abandoned` ends the process before
        the unit is acknowledged.
        """
        stream.enable_acks = False
        async for event in stream.events():
            unit = cast(Unit, event.value)
            try:
                await self.pipeline.process(unit.records, unit.generation)
            except Abandoned:
                self._telemetry.journey.abandoned.inc()
                log.info("unit_abandoned", generation=unit.generation)
                self.app.consumer.abandon(event.message)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and self.app.should_stop:
                    raise
                self._tasks.fail(error)
                raise
            else:
                event.ack()

    async def _election(self, stream: StreamT[bytes]) -> None:
        """Consume the learner topic, so that Faust assigns its partition to one worker.

        That worker runs the trainer. The topic should stay empty: the consumer drops its records.
        """
        async for _ in stream:
            pass

    @property
    def elected(self) -> bool:
        """Whether this worker is the learner, which runs the trainer."""
        topic = self._settings.topic("learner")
        return any(tp.topic == topic for tp in self.app.consumer.assignment())

    @property
    def generation(self) -> int:
        """The consumer group's generation."""
        return self.app.consumer_generation_id

    @property
    def rebalancing(self) -> bool:
        """Whether a rebalance is under way, so that partitions may be lost."""
        return self.app.rebalancing

    async def _publish_popular(self) -> None:
        """While this worker has the first partition, publish the most popular items.

        They have a reserved key. Consumers show them to users without a session.
        """
        while True:
            if 0 in self._assigned():
                value = await self._replica.popular(self._settings.published, self._hidden())
                outbox = Outbox()
                outbox.to(self._settings.topic("recommendations"), 0).append((POPULAR_KEY, value, NO_HEADERS))
                try:
                    await self.publisher.publish(outbox, self.app.consumer_generation_id)
                except NOT_NOW:
                    log.info("popular_skipped")
            await asyncio.sleep(POPULAR_EVERY_S)
