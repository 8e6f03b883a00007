"""What a copy of `ouzel serve` holds and runs; the routes are views of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from serving.auth import Keys
from serving.cache import CachedRanking, NoRanking, RankingCache
from serving.telemetry import ServingTelemetry
from streams.catalogue import Catalogue
from streams.decode import BadRecord
from streams.follower import Follower
from streams.kafka import aiokafka_config
from streams.settings import Settings

log = structlog.get_logger(__name__)

TELL_EVERY_S = 0.5


class Service:
    """The state of one copy. ``fail`` is told what ends it."""

    def __init__(
        self, settings: Settings, keys: Keys, telemetry: ServingTelemetry, fail: Callable[[BaseException], None]
    ) -> None:
        self.settings, self.keys, self.telemetry = settings, keys, telemetry
        self.cache = RankingCache(settings.serve_rankings)
        self.catalogue = Catalogue()
        self.ready = False
        self._fail = fail
        self._tasks: set[asyncio.Task[None]] = set()
        telemetry.cache_capacity.set(settings.serve_rankings)
        config = aiokafka_config(settings)

        def follower(name: str, apply: Callable[[Any], Coroutine[Any, Any, None]]) -> Follower:
            return Follower(settings.topic(name), config, apply, max_records=500, max_wait_ms=settings.fetch_max_wait_ms)

        self.followers = {
            "recommendations": follower("recommendations", self._take_rankings),
            "items": follower("items", self._take_items),
        }

    async def start(self) -> None:
        """Begin to follow the topics."""
        for follower in self.followers.values():
            self.spawn(follower.run())
        self.spawn(self._tell())

    async def stop(self) -> None:
        """End every task."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run beside the requests; an error ends the process."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    async def _take_rankings(self, records: Any) -> None:
        for record in records:
            try:
                ranking = self.cache.take(record)
            except NoRanking:
                self.telemetry.refused_records.labels("recommendations").inc()
                log.warning("no_ranking", partition=record.partition, offset=record.offset)
                continue
            if ranking is not None:
                self._arrived(ranking, record.timestamp)

    def _arrived(self, ranking: CachedRanking, kafka_time: int) -> None:
        self.telemetry.newest_ranking.set(kafka_time / 1000)

    async def _take_items(self, records: Any) -> None:
        for record in records:
            try:
                self.catalogue.apply(record.key, record.value)
            except BadRecord as bad:
                self.telemetry.refused_records.labels("items").inc()
                log.warning("bad_item", reason=bad.reason, partition=record.partition, offset=record.offset)

    async def _tell(self) -> None:
        """Keep the gauges true, and say once that everything was read."""
        telemetry, evicted = self.telemetry, 0
        while True:
            for name, follower in self.followers.items():
                telemetry.follower_lag.labels(name).set(follower.lag)
                telemetry.caught_up.labels(name).set(follower.caught_up.is_set())
            telemetry.cached_users.set(len(self.cache))
            telemetry.cached_rankings.set(self.cache.rankings)
            telemetry.cache_evictions.inc(self.cache.evicted - evicted)
            evicted = self.cache.evicted
            telemetry.catalogue_items.set(len(self.catalogue))
            if not self.ready and all(follower.caught_up.is_set() for follower in self.followers.values()):
                self.ready = True
                telemetry.ready.set(1)
                log.info("ready", users=len(self.cache), items=len(self.catalogue))
            await asyncio.sleep(TELL_EVERY_S if self.ready else TELL_EVERY_S / 10)
