"""The state of one `ouzel serve` process, and the tasks that keep it up to date.

Routes read this state, and change it by writing to Kafka.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence

import structlog

from serving.key_file import KeysError
from serving.state.answers import Answers
from serving.state.arrivals import Arrivals
from serving.state.cache import LatestRankings
from serving.state.experts import Experts
from serving.state.ingest import Ingest
from serving.state.keys import Keys
from serving.state.live import LiveTopics
from serving.state.shelves import Shelves
from serving.state.telemetry import ServingTelemetry
from serving.state.turns import Turns
from serving.state.workers import Workers, addresses
from serving.state.writer import Writer, Written
from streams.errors import BadData
from streams.events.decode import EventDecoder
from streams.kafka.connection import aiokafka_config, fetch_waits
from streams.kafka.follower import Apply, Follower
from streams.kafka.partitions import watch_partitions
from streams.kafka.refusing import refusing
from streams.kafka.retry import patiently
from streams.observing.items import ItemReader
from streams.settings import Settings
from streams.tasks import Tasks
from streams.wire.record import KafkaRecord
from streams.wire.unreadable import unreadable

log = structlog.get_logger(__name__)

GAUGES_EVERY_S = 0.5
KEYS_EVERY_S = 2.0
RANKINGS_REST_S = 0.01
EVENTS_REST_S = 0.1
GC_THRESHOLD = 100_000
RECORDS = 500
"""Maximum number of records that are applied before a waiting request gets its turn."""


class Service:
    """The state of one server. One event loop owns it.

    `ouzel serve` calls `start` before it accepts connections and `stop` after the last one has
    ended. Routes read the attributes in between. ``fail`` is called with an error that must end the
    process.
    """

    experts: Experts
    """Exists once the service is `ready`; the task of `start` sets it."""

    def __init__(
        self, settings: Settings, keys: Keys, decoder: EventDecoder, telemetry: ServingTelemetry,
        fail: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self.settings, self.keys, self.telemetry = settings, keys, telemetry
        self.cache = LatestRankings(settings.serve_rankings, settings.serve_cache_bytes)
        self.shelves = Shelves()
        self.arrivals = Arrivals(telemetry.streams_skipped.inc)
        self.writer = Writer(settings, telemetry)
        self.turns = Turns()
        self.ingest = Ingest(settings.topic("events"), decoder, self.writer, telemetry, self.turns)
        self.live, self.workers = LiveTopics(), Workers(addresses(settings), monitored=settings.serve_worker_metrics is not None)
        self.answers = Answers(self.cache, self.shelves, lambda: self.experts, telemetry)
        self.followers: dict[str, Follower] = {}
        """The followers of the topics, by topic name without the prefix."""
        self.ready = False
        """Whether every topic was read to the end that it had at the start."""
        self.newest_ms = 0
        """Kafka time of the newest ranking, epoch ms; 0 before the first."""
        self._items = ItemReader(
            self.shelves,
            lambda reason: telemetry.refused_records.labels("items").inc(),
            lambda field, count: telemetry.dropped_item_fields.labels(field).inc(count),
        )
        self._items_read: dict[int, int] = {}
        """The offset of the last item read, by partition."""
        self._tasks = Tasks(fail)
        telemetry.cache_capacity.set(settings.serve_rankings)
        telemetry.cache_capacity_bytes.set(settings.serve_cache_bytes)

    def start(self) -> None:
        """Connect and follow the topics. `ready` turns true when they are read to the end."""
        self._tasks.spawn(self._start())

    async def _start(self) -> None:
        await patiently(self.writer.start, "the producer")
        self.experts = await patiently(lambda: Experts.restored(self.settings, self.telemetry), "the snapshot")
        self.followers = {
            "recommendations": self._follower("recommendations", self._take_rankings),
            "items": self._follower("items", self._take_items),
            "transitions": self.experts.follower,
        }
        if self.settings.serve_live:
            topic, config = self.settings.topic("events"), aiokafka_config(self.settings)
            self.followers["events"] = Follower(
                topic, config, self._take_events, max_records=RECORDS, from_end=True, rest_s=EVENTS_REST_S
            )
        for follower in self.followers.values():
            self._tasks.spawn(follower.run())
        watches = self.writer.watch(), self.workers.run(), self._reload_keys(), watch_partitions(self.settings)
        for work in (self._update_gauges(), *watches):
            self._tasks.spawn(work)

    async def stop(self) -> None:
        """End every stream and task, and disconnect."""
        self.arrivals.end()
        await asyncio.gather(*self._tasks.cancel(), return_exceptions=True)
        await self.writer.stop()

    async def wait_for_item(self, written: Written, within_s: float) -> None:
        """Wait until this server has read an item that it wrote, at most ``within_s``.

        So a client's next request sees what the client wrote.
        """
        until = asyncio.get_running_loop().time() + within_s
        while self._items_read.get(written.partition, -1) < written.offset and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.005)

    def _follower(self, name: str, apply: Apply) -> Follower:
        """Return the follower of a topic whose records clients wait for."""
        settings = self.settings
        config = aiokafka_config(settings) | {"fetch_max_wait_ms": fetch_waits(settings).long_ms}
        return Follower(settings.topic(name), config, apply, max_records=RECORDS, rest_s=RANKINGS_REST_S)

    async def _take_rankings(self, records: Sequence[KafkaRecord]) -> None:
        with refusing("no_ranking", self.telemetry.refused_records.labels("recommendations").inc) as refuse:
            for record in records:
                try:
                    ranking = self.cache.take(record)
                except BadData as bad:
                    refuse(record, bad)
                    continue
                if ranking is not None:
                    self.newest_ms = max(self.newest_ms, min(record.timestamp, int(time.time() * 1000)))
                    if self.ready:
                        self.live.ranking(record.partition, ranking.trigger_offset, record.timestamp)
                        if ranking.trigger_offset >= 0:  # no event triggers the popular ranking
                            self.workers.health.ranked()
                    self.arrivals.arrived(ranking)
                elif record.value is None:
                    self.arrivals.removed((record.key or b"").decode(errors="replace"))

    async def _take_items(self, records: Sequence[KafkaRecord]) -> None:
        self._items.take(records)
        self._items_read[records[-1].partition] = records[-1].offset

    async def _take_events(self, records: Sequence[KafkaRecord]) -> None:
        """Count the events. Their values are not read, so only unreadable batches are refused."""
        for record in records:
            if unreadable(record) is not None:
                self.telemetry.refused_records.labels("events").inc()
        if self.ready:
            self.workers.health.arrived()
        await self.live.take_events(records)

    async def _update_gauges(self) -> None:
        """Update the gauges until cancelled, and become ready once every follower has caught up."""
        telemetry, evicted = self.telemetry, 0
        while True:
            for name, follower in self.followers.items():
                telemetry.follower_lag.labels(name).set(follower.lag)
                telemetry.caught_up.labels(name).set(follower.caught_up.is_set())
            telemetry.cached_users.set(len(self.cache))
            telemetry.cached_rankings.set(self.cache.rankings)
            telemetry.cached_bytes.set(self.cache.bytes)
            telemetry.cache_evictions.inc(self.cache.evicted - evicted)
            evicted = self.cache.evicted
            telemetry.newest_ranking.set(self.newest_ms / 1000)
            telemetry.catalogue_items.set(len(self.shelves))
            if not self.ready and all(follower.caught_up.is_set() for follower in self.followers.values()):
                self.ready = True
                gc.collect()
                gc.freeze()  # the caches live on; reference counts free what requests allocate
                gc.set_threshold(GC_THRESHOLD, 20, 50)
                log.info("ready", users=len(self.cache), items=len(self.shelves))
            telemetry.ready.set(self.ready and self.keys.refused is None)
            await asyncio.sleep(GAUGES_EVERY_S if self.ready else GAUGES_EVERY_S / 10)

    async def _reload_keys(self) -> None:
        while self.keys.required:
            await asyncio.sleep(KEYS_EVERY_S)
            self.reload_keys()

    def reload_keys(self) -> None:
        """Read the keys again. Streams whose key is no longer valid end."""
        keys = self.keys
        refused = keys.refused
        try:
            changed = keys.reload()
        except KeysError as error:
            self.telemetry.key_file_failures.inc()
            changed = keys.refused is not None and refused is None
            log.error("keys_refused" if keys.refused is not None else "keys_not_reloaded", reason=str(error))
        else:
            if changed:
                log.info("keys_reloaded")
        if changed:
            self.arrivals.wake()
