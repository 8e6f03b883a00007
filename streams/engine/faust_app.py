"""The Faust app with our transport, and the settings of Faust that matter here. Read this first."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from functools import partial

import faust
from faust.types import TP
from faust.types.tables import TableT
from faust.types.topics import TopicT

from streams.engine.consumer import PollConsumer
from streams.engine.lease import Lease
from streams.engine.producer import IdempotentProducer
from streams.engine.recovery import ChangelogFormat, TableManager
from streams.engine.schema import RawSchema
from streams.engine.transport import Transport
from streams.kafka.connection import FetchWaits, faust_credentials, fetch_waits, isolation_level
from streams.kafka.membership import is_member
from streams.kafka.partitions import PartitionsGrown
from streams.kafka.topics import BATCH_BYTES
from streams.printable import printable
from streams.settings import Settings

EXIT_CODE = 71
"""Exit code of an app that fails before its owner has set `App.fail_stop`."""
MAX_POLL_INTERVAL_S = 1e9
"""No limit in effect. A consumer that has not polled for longer cannot rejoin, and during an outage
the unit in flight keeps it from polling. The watchdog notices a worker that is stuck."""
ROCKSDB = {"driver": "rocksdict", "block_cache_size": 32 << 20, "write_buffer_size": 8 << 20, "max_open_files": 256}


def end_process(reason: BaseException) -> None:
    """End the process at once; the default of `App.fail_stop`."""
    sys.stderr.write(f"stopped: {printable(repr(reason))}\n")
    sys.stderr.flush()
    os._exit(EXIT_CODE)


class App(faust.App):
    """One worker's app, through which the engine's parts share the lease, settings and callbacks.

    ``fail_stop`` ends the process because of an error. ``on_foreign_bytes`` gets the number of
    changelog records that were skipped, ``on_foreign_election`` that of the learner topic, and
    ``on_removed_events`` the number of events that were removed before they were processed.
    ``on_retry`` is called before each retry of a batch, and ``on_recovered`` gets the seconds that
    a recovery took. ``instance_taken``, which may block, returns whether the group has a static
    member of our name. ``partitions_grown`` makes the error for the number of partitions that the
    events have now.
    """

    lease: Lease
    changelog_format: ChangelogFormat
    fetch_waits: FetchWaits
    idempotent: bool
    exactly_once: bool
    isolation_level: str
    transaction_timeout_ms: int
    events_name: str
    consumer: PollConsumer
    producer: IdempotentProducer
    tables: TableManager
    events_topic: TopicT
    learner_topic: TopicT
    sessions: TableT[bytes, bytes]
    fail_stop: Callable[[BaseException], None] = staticmethod(end_process)
    on_foreign_bytes: Callable[[int], None] = staticmethod(lambda _: None)
    on_foreign_election: Callable[[int], None] = staticmethod(lambda _: None)
    on_retry: Callable[[], None] = staticmethod(lambda: None)
    on_removed_events: Callable[[int], None] = staticmethod(lambda _: None)
    on_recovered: Callable[[float], None] = staticmethod(lambda _: None)
    partitions_grown: Callable[[int], PartitionsGrown]
    instance_taken: Callable[[], bool] = staticmethod(lambda: False)

    def _new_transport(self) -> Transport:
        """Make our transport; upstream looks one up by the URL of the broker."""
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        """Make our transport; upstream looks one up by the URL of the broker."""
        return Transport(self.conf.broker_producer, self)

    def holds(self, generation: int) -> bool:
        """Return whether the partitions of this generation may still be ours."""
        return generation == self.consumer_generation_id and not self.rebalancing

    async def may_send(self, generation: int) -> bool:
        """Return whether a unit polled in this generation may continue to send.

        Waits while the lease is stale. A unit may continue during a rebalance, too: the partitions
        are ours until we rejoin, and we rejoin only after the unit. To give it up between its
        outputs and its changelog would repeat its outputs.
        """
        if generation != self.consumer_generation_id:
            return False
        return await self.lease.wait(lambda: self.holds(generation)) and generation == self.consumer_generation_id

    def _crash(self, reason: BaseException) -> None:
        """End the process when any service crashes: mode calls this method of the root service.

        Upstream would only stop. While the app stops, its fetcher reports its own cancellation as a
        crash, which does not count.
        """
        if not (self._stopped.is_set() and isinstance(reason, asyncio.CancelledError)):
            self.fail_stop(reason)
        super()._crash(reason)

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Wait for the unit in flight before we rejoin; upstream does not while the app stops."""
        if self.should_stop:
            await self.consumer.wait_empty()
        await super()._on_partitions_revoked(revoked)

    def _on_rebalance_when_stopped(self) -> None:
        """Do nothing: the consumer's own thread is closing it.

        Upstream would close it from another event loop, and it would not leave the group.
        """

    async def wait_ready(self) -> None:
        """Wait until the first assignment is recovered and events flow."""
        await self.tables.recovery.completed.wait()

    async def stop_cleanly(self) -> None:
        """Stop polling, wait for the unit in flight, commit, and leave the group."""
        consumer = self.consumer
        events = {tp for tp in consumer.assignment() if tp.topic == self.events_name}
        consumer.pause_partitions(events)
        while not consumer.idle.is_set() and not self.rebalancing:
            await asyncio.sleep(0.01)
        await consumer.commit()
        await self.stop()


def create_app(settings: Settings, changelog_format: ChangelogFormat) -> App:
    """Build the app, with its topics and the table of sessions, but without agents."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    timeout = settings.session_timeout_s
    app = App(
        settings.app_id,
        broker=";".join(f"kafka://{address}" for address in settings.brokers),
        broker_credentials=faust_credentials(settings),
        datadir=str(settings.data_dir),
        store="rocksdb://",
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.instance_id,
        broker_session_timeout=timeout,
        broker_heartbeat_interval=timeout / 4,
        broker_request_timeout=max(30.0, timeout),
        broker_rebalance_timeout=max(20.0, 2 * timeout),
        broker_max_poll_interval=MAX_POLL_INTERVAL_S,
        broker_commit_interval=1.0,
        broker_max_poll_records=settings.max_poll_records,
        broker_check_crcs=False,  # `pass_damage` checks them
        producer_acks=-1,
        producer_linger_ms=0,
        producer_max_batch_size=BATCH_BYTES,
        stream_buffer_maxsize=16,
        stream_wait_empty=True,
        stream_publish_on_commit=False,
        table_standby_replicas=0,
        # `Recovery` has its own check, which it skips with a broker that reports wrong ends of logs
        recovery_consistency_check=False,
        TableManager=TableManager,
    )
    app.lease = Lease(timeout)
    app.instance_taken = partial(is_member, settings)
    app.partitions_grown = partial(PartitionsGrown, settings)
    app.changelog_format = changelog_format
    app.fetch_waits = fetch_waits(settings)
    app.idempotent = settings.idempotent
    app.exactly_once = settings.delivery == "exactly_once"
    app.isolation_level = isolation_level(settings)
    app.transaction_timeout_ms = settings.transaction_timeout_ms
    app.events_name = settings.topic("events")
    app.events_topic = app.topic(app.events_name, partitions=settings.partitions, schema=RawSchema())
    app.learner_topic = app.topic(settings.topic("learner"), partitions=1, key_serializer="raw", value_serializer="raw")
    changelog = app.topic(
        settings.topic("sessions-changelog"),
        partitions=settings.partitions,
        key_serializer="raw",
        value_serializer="raw",
        compacting=True,
    )
    app.sessions = app.Table(
        "sessions",
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        options=ROCKSDB,
        changelog_topic=changelog,
    )
    return app
