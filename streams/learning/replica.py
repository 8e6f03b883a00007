"""A replica of the model: it follows the transitions log, and where it is the learner's it also trains.

What a replica counts is a function of the log alone; what is trained, followers take from the learner (see `updates`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import structlog

from models.recommender import Parameters, Query, Ranking, Recommender
from models.snapshot import Frozen, freeze
from models.state import State
from models.transition import Transitions
from streams.errors import BadData
from streams.events.bounds import RESERVED_ID
from streams.events.records import Recommendation, Transition
from streams.kafka.decoding import decoded
from streams.kafka.follower import Follower
from streams.learning.model_thread import ModelThread
from streams.learning.steps import Steps
from streams.observing.telemetry import Telemetry
from streams.pipeline import ranked_items

POPULAR_KEY = RESERVED_ID.encode()
"""The reserved key on `recommendations` of the ranking for users that nothing is known of."""

log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder(Transition).decode


class Point(NamedTuple):
    """A point between two steps: steps taken, and the offset of the transitions log at which the next step begins."""

    steps: int
    offset: int


class Replica:
    """One model, and the reader of the log that feeds it. ``learning``: whether it trains."""

    def __init__(
        self, name: str, model: Recommender, thread: ModelThread, telemetry: Telemetry, topic: str, config: Mapping[str, Any],
        start: int | None = None, *, learning: bool = False,
    ) -> None:  # fmt: skip
        self._name, self._model, self._thread, self._telemetry = name, model, thread, telemetry
        self._steps = Steps(model.step_size)
        self._next = self.seen = start or 0
        self.learning, self.untouched, self.in_service = learning, True, False
        self.follower = Follower(topic, config, self.apply, max_records=500, start=start)

    @property
    def model(self) -> Recommender:
        """The model; the model thread's alone once `run` has begun."""
        return self._model

    @property
    def behind(self) -> bool:
        """Whether it is far from the end of the log."""
        return self.follower.lag > 20 * self._model.step_size

    async def run(self) -> None:
        """Follow the log for ever."""
        await self.follower.run()

    async def apply(self, records: Sequence[Any]) -> None:
        """Take the next records of the log; returns when the steps that they close are applied."""
        refused = 0
        for record in records:
            try:
                transition = decoded(_decode, record.value)
            except BadData:  # nobody but a journey writes there, so it is nobody's
                refused += 1
                self._telemetry.model.refused_transitions.inc()
            else:
                for batch, following in self._steps.add(transition, record.timestamp, record.offset):
                    await self._thread.background(partial(self._step, batch, following))
            self.seen = record.offset + 1
        if refused:
            log.warning("no_transitions", records=refused, before=self.seen)

    async def freeze(self) -> tuple[Frozen, Point]:
        """A copy of the model between two steps."""
        return await self._thread.background(lambda: (freeze(self._name, self._model), self._point()))

    async def changes(self, since: int) -> tuple[Parameters, Point, int]:
        """What was trained since a mark, copied between two steps, and the next mark: see `Recommender.changes`."""

        def job() -> tuple[Parameters, Point, int]:
            parameters, mark = self._model.changes(since)
            return parameters, self._point(), mark

        return await self._thread.background(job)

    async def take(self, parameters: Parameters) -> None:
        """Take the learner's parameters."""
        self.untouched = False
        await self._thread.background(lambda: self._model.apply(parameters))
        self.tell()

    async def rollback(self, good: State) -> None:
        """Take the parameters of an earlier state."""
        await self._thread.background(lambda: self._model.rollback(good))

    async def head(self, share: float) -> frozenset[str]:
        """The popular items: see `Recommender.head`."""
        return await self._thread.background(lambda: self._model.head(share))

    async def popular(self, k: int, hidden: frozenset[str], now: Callable[[], float] = time.time) -> bytes:
        """The recommendation for cold users, encoded."""
        ranking: Ranking = await self._thread.urgent(lambda: self._model.rank([Query(())], k, hidden)[0])
        at = int(now() * 1000)
        return msgspec.json.encode(
            Recommendation(
                recommendation_id=f"popular-{at}",
                user_id=None,
                session_id=None,
                generated_at=at,
                trigger_event_id="",
                trigger_offset=-1,
                model_version=self._model.steps,
                strategy=ranking.strategy,
                prefix=[],
                items=ranked_items(ranking),
                took_ms=0.0,
            )
        )

    def _point(self) -> Point:
        return Point(self._model.steps, self._next)

    def _step(self, batch: Transitions, following: int) -> None:
        self.untouched, began = False, time.perf_counter()
        if self.learning:
            self._model.learn(batch)
            self._telemetry.model.learned.inc(len(batch))
        else:
            self._model.follow(batch)
            self._telemetry.model.followed.inc(len(batch))
        self._next = following
        self._telemetry.stepped(time.perf_counter() - began)
        self.tell()

    def tell(self) -> None:
        """Set the metrics of the model that ranks."""
        if self.in_service:
            self._telemetry.tell_model(self._model)


class ActiveReplica:
    """Which replica ranks: a new learner puts its own in the follower's place when it has caught up."""

    def __init__(self, replica: Replica, task: asyncio.Task[None] | None = None) -> None:
        self.replica, self._task = replica, task
        self.candidate: Replica | None = None
        self.epoch = 0
        """The highest of a learner that this worker knows of."""
        replica.in_service = True
        replica.tell()

    def put(self, replica: Replica, task: asyncio.Task[None]) -> None:
        """Let this one rank, and the one before it end. ``task`` is the one that runs it."""
        self.replica.in_service, replica.in_service = False, True
        if self._task is not None:
            self._task.cancel()
        self.replica, self._task = replica, task
        replica.tell()

    @property
    def lag(self) -> int:
        """Transitions of the log not applied yet, by the replica that is furthest behind."""
        return max(replica.follower.lag for replica in (self.replica, self.candidate) if replica is not None)

    @property
    def behind(self) -> bool:
        """Whether learning needs every second turn."""
        return self.replica.behind or (self.candidate is not None and self.candidate.behind)
