"""The learner: what the elected worker does besides ranking.

It trains the model, publishes parameters to the followers, writes snapshots, and rolls back to one
if training diverges.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import structlog

from models.net.guard import finite
from models.recommender import Recommender
from models.snapshot import Frozen
from streams.delivery.publisher import Publisher
from streams.errors import Abandoned
from streams.kafka.connection import aiokafka_config
from streams.kafka.outbox import Outbox
from streams.kafka.retry import TEMPORARY, until_kafka_answers
from streams.learning.epochs import Epochs
from streams.learning.model import new_model
from streams.learning.model_thread import ModelThread
from streams.learning.model_updates import to_records
from streams.learning.replica import ActiveReplica, Replica
from streams.learning.snapshots import Restored, SnapshotWriter, model_name, position_to_start, restore_newest
from streams.observing.telemetry import Telemetry
from streams.settings import Settings
from streams.tasks import Tasks

log = structlog.get_logger(__name__)

TICK_S = 0.1
PUBLISH_EVERY_S = 1.0
AGAIN_STEPS = 200
"""If training diverges again within this many steps of a rollback, the snapshot was bad, too."""
ROUNDS = 3
"""How often a new learner catches up with the end of the log, which moves meanwhile.

After these rounds it takes over, even if it is still behind.
"""


class Group(Protocol):
    """What the learner reads of the consumer group.

    `streams.assembly.Application` is the one in a worker. `Learner` reads the properties on the
    event loop, at the start of each turn (ten times per second) and while it catches up. Reading
    returns at once and changes nothing. Example, a worker that learns alone:

        SimpleNamespace(elected=True, generation=1, rebalancing=False)
    """

    @property
    def elected(self) -> bool:
        """Whether this worker owns the partition of the election topic, and so is the learner."""
        ...

    @property
    def generation(self) -> int:
        """The group's generation: it rises with each rebalance."""
        ...

    @property
    def rebalancing(self) -> bool:
        """Whether a rebalance is under way. The learner does nothing until it has ended."""
        ...


class Learner:
    """The task of the learner. It runs in every worker, and acts in the elected one.

    A new learner first catches up on a replica of its own, without publishing anything.
    """

    def __init__(
        self, settings: Settings, active: ActiveReplica, thread: ModelThread, telemetry: Telemetry, publisher: Publisher,
        group: Group, tasks: Tasks,
    ) -> None:  # fmt: skip
        self._settings, self._active, self._thread, self._telemetry = settings, active, thread, telemetry
        self._publisher, self._group, self._tasks = publisher, group, tasks
        self._writer = SnapshotWriter(settings, telemetry, publisher)
        self._name = model_name(settings)
        self._epochs = Epochs()
        self._mark, self._published_steps = 0, -1
        self._rolled_back_at = -AGAIN_STEPS
        """Learning steps at the last rollback."""
        self._postponed = False
        """Whether the last snapshot was postponed."""
        self._published_at = self._written_at = time.monotonic()

    async def run(self) -> None:
        """Take turns until cancelled. A later turn repeats what a rebalance interrupts."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await until_kafka_answers(self._turn, PUBLISH_EVERY_S, away=TEMPORARY, on_away=_log_away)
            except Abandoned:
                log.info("learner_interrupted")

    async def _turn(self) -> None:
        active, group = self._active, self._group
        if group.rebalancing:
            return
        if not group.elected:
            if active.replica.learning:
                active.replica.learning = False
                log.info("follows")
            return
        if not active.replica.learning and not await self._take_over():
            return
        # Followers may have missed updates of an older learner: a new epoch publishes everything.
        if group.generation != self._epochs.generation or active.epoch > self._epochs.current:
            self._begin_epoch()
        if active.replica.model.diverged:
            await self._roll_back()
        now = time.monotonic()
        if now - self._published_at >= PUBLISH_EVERY_S:
            self._published_at = now
            await self._publish()
        if now - self._written_at >= self._settings.snapshot_every_s:
            self._written_at = now
            await self._snapshot()

    def _begin_epoch(self) -> None:
        self._mark, self._published_steps = 0, -1
        self._epochs.begin(self._group.generation, self._active.epoch)

    async def _take_over(self) -> bool:
        """Become the learner, in the state of a learner that never stopped.

        Returns whether this worker is still elected.
        """
        active, settings = self._active, self._settings
        restored = await restore_newest(settings, new_model(settings), self._telemetry)
        start = await position_to_start(settings, restored)
        self._writer.start_after(restored)
        if restored is not None:
            active.epoch = max(active.epoch, restored.manifest.epoch)
        if active.replica.untouched and (start or 0) == active.replica.seen:
            active.replica.learning = True
        elif not await self._catch_up(restored, start):
            return False
        self._begin_epoch()
        log.info("learns", epoch=self._epochs.current, from_offset=start or 0, steps=active.replica.model.steps)
        await self._snapshot()
        return True

    async def _catch_up(self, restored: Restored | None, start: int | None) -> bool:
        """Train a new replica up to the end of the log, and let it rank from then on.

        Returns whether this worker is still elected.
        """
        model = restored.model if restored is not None else new_model(self._settings)
        candidate = make_replica(self._settings, model, self._thread, self._telemetry, start, learning=True)
        self._active.candidate = candidate
        task = self._tasks.spawn(candidate.run())
        try:
            for _ in range(ROUNDS):
                await candidate.follower.caught_up.wait()
                if not self._group.elected:
                    break
                if not candidate.behind:
                    break
                await candidate.follower.look_again()
        except BaseException:
            task.cancel()
            raise
        finally:
            self._active.candidate = None
        if not self._group.elected:
            task.cancel()
            return False
        self._active.put(candidate, task)
        return True

    async def _publish(self) -> None:
        """Publish the parameters that have changed since the last time."""
        replica = self._active.replica
        if replica.model.steps == self._published_steps:
            return
        parameters, point, mark = await replica.changes(self._mark)
        records = await asyncio.to_thread(to_records, parameters, self._name, self._epochs.current, point.offset)
        for record in records:  # one by one, so that recommendations need not wait for all of them
            outbox = Outbox()
            outbox.to(self._settings.topic("model-updates"), 0).append(record)
            await self._publisher.publish(outbox, self._epochs.generation)
        self._mark, self._published_steps = mark, parameters.steps
        self._telemetry.model.updates.inc(len(records))

    async def _snapshot(self) -> None:
        """Write a snapshot if steps were taken since the last one.

        If a parameter is not finite, roll back first. If the model may be diverging, postpone the
        snapshot by one interval: by then it has recovered or was rolled back.
        """
        model = self._active.replica.model
        if model.steps == self._writer.written_steps:
            return
        self._postponed = not (model.healthy or self._postponed)
        if self._postponed:
            log.warning("snapshot_postponed", steps=model.steps)
            return
        frozen, point = await self._active.replica.freeze()
        if not await asyncio.to_thread(all_finite, frozen):
            await self._roll_back()
            return
        await self._writer.write(frozen, point, self._epochs.current, self._epochs.generation)

    async def _roll_back(self) -> None:
        """Take the parameters of the newest snapshot, and write a new snapshot.

        If the last rollback was less than `AGAIN_STEPS` steps ago, that snapshot is bad as well.
        Then the parameters are reset to those of a new model.
        """
        restored = await restore_newest(self._settings, new_model(self._settings), self._telemetry)
        steps = self._active.replica.model.steps
        repeated, self._rolled_back_at = steps - self._rolled_back_at < AGAIN_STEPS, steps
        good: Recommender = restored.model if restored is not None and not repeated else new_model(self._settings)
        await self._active.replica.rollback(good.state())
        self._telemetry.model.rollbacks.inc()
        log.warning("rolled_back", to_steps=good.steps, steps=self._active.replica.model.steps)
        frozen, point = await self._active.replica.freeze()
        await self._writer.write(frozen, point, self._epochs.current, self._epochs.generation)


def _log_away(error: Exception) -> None:
    log.warning("learner_waits", reason=str(error))


def all_finite(frozen: Frozen) -> bool:
    """Return whether every parameter is finite."""
    return all(finite(array) for array in frozen.arrays.values() if array.dtype == "float32")


def make_replica(
    settings: Settings, model: Recommender, thread: ModelThread, telemetry: Telemetry, start: int | None, *,
    learning: bool = False,
) -> Replica:  # fmt: skip
    """Make a replica that follows the log from ``start``, and trains if ``learning``."""
    topic, config = settings.topic("transitions"), aiokafka_config(settings)
    return Replica(settings.model, model, thread, telemetry, topic, config, start, learning=learning)
