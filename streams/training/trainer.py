"""The trainer: it restores the model, learns the transitions log, and publishes what it learns.

It publishes parameters to the followers, writes snapshots, and rolls back to one if training
diverges. The process around it is `process`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from models.net.guard import finite
from models.recommender import Recommender
from models.snapshot import Frozen
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import bounds
from streams.kafka.outbox import Outbox
from streams.kafka.retry import TEMPORARY, patiently, until_kafka_answers
from streams.learning.model import new_model
from streams.learning.model_thread import ModelThread
from streams.learning.model_updates import to_records
from streams.learning.snapshots import Restored, model_name, position_to_start, restore_newest
from streams.observing.telemetry import Telemetry
from streams.settings import Settings
from streams.tasks import Tasks
from streams.training.epochs import Epochs
from streams.training.known_epoch import known_epoch
from streams.training.sending import Send
from streams.training.snapshot_writer import SnapshotWriter
from streams.training.training import Training

log = structlog.get_logger(__name__)

TICK_S = 0.05
RETRY_S = 1.0
TOGETHER = 8
"""Records of parameters that are sent at once. Each has half a megabyte at most."""
AGAIN_STEPS = 200
"""If training diverges again within this many steps of a rollback, the snapshot was bad, too."""
ROUNDS = 3
"""How often a new trainer catches up with the end of the log, which moves meanwhile.

After these rounds it publishes, even if it is still behind.
"""


class Trainer:
    """The work of the trainer. `run` is its life, in order.

    ``generation`` returns that of the group that has elected this trainer. It is read on the event
    loop at every turn, 20 times a second. A new generation begins a new epoch. Everything is then
    published again, because followers may have missed updates of another trainer. ``stepped`` gets
    the seconds that each learning step took.
    """

    def __init__(
        self, settings: Settings, thread: ModelThread, telemetry: Telemetry, send: Send, generation: Callable[[], int],
        stepped: Callable[[float], None], tasks: Tasks,
    ) -> None:  # fmt: skip
        self._settings, self._thread, self._telemetry = settings, thread, telemetry
        self._send, self._generation, self._stepped, self._tasks = send, generation, stepped, tasks
        self._name = model_name(settings)
        self._epochs = Epochs()
        self._publish_every_s = settings.model_updates_ms / 1000
        self._mark, self._published_steps = 0, -1
        self._rolled_back_at = -AGAIN_STEPS
        """Learning steps at the last rollback."""
        self._postponed = False
        """Whether the last snapshot was postponed."""
        self._spoiled = False
        """Whether a snapshot was not written because a parameter is not finite."""
        self._saving = asyncio.Lock()
        """Held while a snapshot is checked and written, and during a rollback, which writes one."""
        self._epoch_begun = asyncio.Event()
        self._published_at = time.monotonic()
        self._training: Training | None = None

    @property
    def training(self) -> Training | None:
        """The model in training; ``None`` until it is restored."""
        return self._training

    async def run(self) -> None:
        """Restore, catch up, then train and publish until cancelled. Waits while Kafka is away."""
        training, writer = await self._restore()
        await self._catch_up(training, writer)
        self._tasks.spawn(self._write_snapshots(training, writer))
        while True:
            await _patiently(partial(self._turn, training, writer))
            await asyncio.sleep(TICK_S)

    async def _restore(self) -> tuple[Training, SnapshotWriter]:
        """Restore the newest snapshot, and begin to learn after it."""
        settings, telemetry = self._settings, self._telemetry
        model = new_model(settings)
        await self._thread.run(model.warmup)
        restored = await patiently(partial(restore_newest, settings, model, telemetry), "the snapshot")
        start = await patiently(partial(position_to_start, settings, restored), "the transitions")
        if restored is not None:
            model = restored.model
        thinned = restored.manifest.thinned if restored is not None else ()
        training = self._training = Training(settings, model, self._thread, telemetry, self._stepped, start, thinned)
        log.info("trainer_restored", from_offset=start or 0, steps=model.steps, items=model.vocabulary_size)
        self._tasks.spawn(training.run())
        self._epochs.current = restored.manifest.epoch if restored is not None else 0
        return training, SnapshotWriter(settings, telemetry, self._send, restored)

    async def _catch_up(self, training: Training, writer: SnapshotWriter) -> None:
        """Learn up to the end of the log. Followers have newer parameters until then."""
        reaching = asyncio.ensure_future(self._reach_end(training))
        while not reaching.done():
            await asyncio.wait((reaching,), timeout=TICK_S)
            if training.model.diverged:
                async with self._saving:
                    await _patiently(partial(self._roll_back, training, writer))
        reaching.result()

    async def _reach_end(self, training: Training) -> None:
        follower = training.reader.follower
        for _ in range(ROUNDS):
            await follower.caught_up.wait()
            if not training.reader.behind:
                break
            await follower.look_again()

    async def _turn(self, training: Training, writer: SnapshotWriter) -> None:
        if self._generation() != self._epochs.generation:
            await self._begin_epoch(training)
        if training.model.diverged or self._spoiled:
            async with self._saving:
                await self._roll_back(training, writer)
        now = time.monotonic()
        if now - self._published_at >= self._publish_every_s:
            self._published_at = now
            await self._publish(training)

    async def _write_snapshots(self, training: Training, writer: SnapshotWriter) -> None:
        """Write a snapshot at each interval and at the beginning of each epoch.

        Parameters are published meanwhile, as a large snapshot takes seconds.
        """
        await self._epoch_begun.wait()
        while True:
            self._epoch_begun.clear()
            async with self._saving:
                await _patiently(partial(self._snapshot, training, writer))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._epoch_begun.wait(), self._settings.snapshot_every_s)

    async def _begin_epoch(self, training: Training) -> None:
        """Begin the epoch of this generation, higher than any in the log; publish all again."""
        known = await known_epoch(self._settings, self._name, self._epochs.current)
        self._epochs.begin(self._generation(), known)
        self._mark, self._published_steps = 0, -1
        training.thinning.on = True
        self._epoch_begun.set()
        log.info("learns", epoch=self._epochs.current, steps=training.model.steps)

    async def _publish(self, training: Training) -> None:
        """Publish the parameters that have changed since the last time."""
        if training.model.steps == self._published_steps:
            return
        parameters, point, mark = await training.changes(self._mark)
        records = await asyncio.to_thread(to_records, parameters, self._name, self._epochs.current, point.offset)
        for begin in range(0, len(records), TOGETHER):
            outbox = Outbox()
            outbox.to(self._settings.topic("model-updates"), 0).extend(records[begin : begin + TOGETHER])
            await self._send(outbox)
        self._mark, self._published_steps = mark, parameters.steps
        self._telemetry.model.updates.inc(len(records))
        self._telemetry.model.update_bytes.inc(sum(len(value or b"") for _, value, _ in records))

    async def _snapshot(self, training: Training, writer: SnapshotWriter) -> None:
        """Write a snapshot if steps were taken since the last one.

        If a parameter is not finite, the next turn rolls back instead. If the model may be
        diverging, postpone the snapshot by one interval: by then it has recovered or was rolled
        back.
        """
        model = training.model
        if model.steps == writer.written_steps:
            return
        self._postponed = not (model.healthy or self._postponed)
        if self._postponed:
            log.warning("snapshot_postponed", steps=model.steps)
            return
        updates = await self._updates_end()
        frozen, point = await training.freeze()
        self._spoiled = not await asyncio.to_thread(all_finite, frozen)
        if not self._spoiled:
            await writer.write(frozen, point, self._epochs.current, updates)

    async def _roll_back(self, training: Training, writer: SnapshotWriter) -> None:
        """Take the parameters of the newest snapshot, and write a new snapshot.

        If the last rollback was less than `AGAIN_STEPS` steps ago, that snapshot is bad as well.
        Then the parameters are reset to those of a new model.
        """
        restored: Restored | None = await restore_newest(self._settings, new_model(self._settings), self._telemetry)
        steps = training.model.steps
        repeated, self._rolled_back_at = steps - self._rolled_back_at < AGAIN_STEPS, steps
        good: Recommender = restored.model if restored is not None and not repeated else new_model(self._settings)
        await training.rollback(good.state())
        self._spoiled = False
        self._telemetry.model.rollbacks.inc()
        log.warning("rolled_back", to_steps=good.steps, steps=training.model.steps)
        updates = await self._updates_end()
        frozen, point = await training.freeze()
        await writer.write(frozen, point, self._epochs.current, updates)

    async def _updates_end(self) -> int:
        return (await bounds(self._settings.topic("model-updates"), aiokafka_config(self._settings), 0)).stop


async def _patiently(attempt: Callable[[], Awaitable[None]]) -> None:
    await until_kafka_answers(attempt, RETRY_S, away=TEMPORARY, on_away=_log_away)


def _log_away(error: Exception) -> None:
    log.warning("trainer_waits", reason=str(error))


def all_finite(frozen: Frozen) -> bool:
    """Return whether every parameter is finite."""
    return all(finite(array) for array in frozen.arrays.values() if array.dtype == "float32")
