"""A replica of the model: it follows the transitions log, and the learner's replica also trains.

A replica's counts are a function of the log alone. Followers take trained parameters from the
learner: see `updates`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from models.recommender import Parameters, Query, Ranking, Recommender
from models.snapshot import Frozen, freeze
from models.state import State
from models.transition import Transitions
from streams.errors import BadData
from streams.events.records import Recommendation, ranked_items
from streams.kafka.follower import Follower
from streams.kafka.refusing import refusing
from streams.learning.model_thread import ModelThread
from streams.learning.steps import Steps
from streams.learning.transitions import transition_of
from streams.observing.telemetry import Telemetry
from streams.wire.record import KafkaRecord


class Point(NamedTuple):
    """A point between two learning steps.

    ``steps`` is the number of steps so far. The next one begins at ``offset`` of the transitions
    log.
    """

    steps: int
    offset: int


class Replica:
    """One model, and the follower of the log that feeds it.

    Methods run on the event loop; the model is used on the model thread only. ``name`` is the
    setting `model`. ``learning`` says whether the replica trains, ``untouched`` whether nothing was
    applied yet, and ``in_service`` whether it ranks. ``seen`` is the next offset of the log to
    read.
    """

    def __init__(
        self, name: str, model: Recommender, thread: ModelThread, telemetry: Telemetry, topic: str, config: Mapping[str, object],
        start: int | None = None, *, learning: bool = False,
    ) -> None:  # fmt: skip
        self._name, self._model, self._thread, self._telemetry = name, model, thread, telemetry
        self._steps = Steps(model.step_size)
        self._next = self.seen = start or 0
        self.learning, self.untouched, self.in_service = learning, True, False
        self.follower = Follower(topic, config, self.apply, max_records=500, start=start)

    @property
    def model(self) -> Recommender:
        """The model. Once `run` has begun, only the model thread may use it."""
        return self._model

    @property
    def behind(self) -> bool:
        """Whether it is more than 20 learning steps behind the end of the log."""
        return self.follower.lag > 20 * self._model.step_size

    async def run(self) -> None:
        """Follow the log until cancelled."""
        await self.follower.run()

    async def apply(self, records: Sequence[KafkaRecord]) -> None:
        """Take the next records of the log. Returns when the steps that they close are applied."""
        with refusing("no_transitions", self._telemetry.model.refused_transitions.inc) as refuse:
            for record in records:
                try:
                    transition = transition_of(record)
                except BadData as bad:  # a stray record: only the journey writes to this topic
                    refuse(record, bad)
                else:
                    for batch, following in self._steps.add(transition, record.timestamp, record.offset):
                        await self._thread.background(partial(self._step, batch, following))
                self.seen = record.offset + 1

    async def freeze(self) -> tuple[Frozen, Point]:
        """Return a copy of the model between two steps."""
        return await self._thread.background(lambda: (freeze(self._name, self._model), self._point()))

    async def changes(self, since: int) -> tuple[Parameters, Point, int]:
        """Return what was trained since a mark, copied between two steps, and the next mark.

        See `Recommender.changes`.
        """

        def job() -> tuple[Parameters, Point, int]:
            parameters, mark = self._model.changes(since)
            return parameters, self._point(), mark

        return await self._thread.background(job)

    async def take(self, parameters: Parameters) -> None:
        """Replace the parameters by the learner's."""
        self.untouched = False
        await self._thread.background(lambda: self._model.apply(parameters))
        self.report()

    async def rollback(self, good: State) -> None:
        """Replace the parameters by those of an earlier state."""
        await self._thread.background(lambda: self._model.rollback(good))

    async def head(self, share: float) -> frozenset[str]:
        """Return the popular items: see `Recommender.head`."""
        return await self._thread.background(lambda: self._model.head(share))

    async def popular(self, k: int, hidden: frozenset[str], now: Callable[[], float] = time.time) -> bytes:
        """Return the encoded recommendation for users without history."""

        def job() -> tuple[Ranking, int]:
            return self._model.rank([Query(())], k, hidden)[0], self._model.steps

        ranking, version = await self._thread.urgent(job)
        at = int(now() * 1000)
        return msgspec.json.encode(
            Recommendation(
                recommendation_id=f"popular-{at}",
                user_id=None,
                session_id=None,
                generated_at=at,
                trigger_event_id="",
                trigger_offset=-1,
                model_version=version,
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
        self.report()

    def report(self) -> None:
        """Set the metrics of the model that ranks."""
        if self.in_service:
            self._telemetry.set_model(self._model)


class ActiveReplica:
    """The replica that ranks, and its task.

    A new learner trains a ``candidate`` and, once that has caught up, lets it rank instead. Owned
    by the event loop.
    """

    def __init__(self, replica: Replica, task: asyncio.Task[None] | None = None) -> None:
        self.replica, self._task = replica, task
        self.candidate: Replica | None = None
        self.epoch = 0
        """The highest epoch of a learner that this worker has seen."""
        replica.in_service = True
        replica.report()

    def put(self, replica: Replica, task: asyncio.Task[None]) -> None:
        """Let this replica rank, and end the previous one. ``task`` runs this replica."""
        self.replica.in_service, replica.in_service = False, True
        if self._task is not None:
            self._task.cancel()
        self.replica, self._task = replica, task
        replica.report()

    @property
    def lag(self) -> int:
        """Transitions that the replica furthest behind has not applied yet."""
        return max(replica.follower.lag for replica in (self.replica, self.candidate) if replica is not None)

    @property
    def behind(self) -> bool:
        """Whether learning is so far behind that it needs every second turn of the model thread."""
        return self.replica.behind or (self.candidate is not None and self.candidate.behind)
