"""The life of `ouzel intake` in one process: check, join, read and write, leave."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from typing import TypeVar

import structlog
from aiokafka.errors import ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.partitioner import murmur2

from streams.engine.pulse import guard_loop
from streams.engine.transactions import Membership
from streams.errors import OK, Abandoned, KafkaAway, Refused
from streams.events.decode import EventDecoder
from streams.intake.checks import describe, problems
from streams.intake.consuming import SourceReader
from streams.intake.delivering import AtLeastOnce, Delivery, ExactlyOnce
from streams.intake.rekeying import Rekeying, Target, Unit, murmur_partitions
from streams.intake.telemetry import IntakeTelemetry
from streams.kafka.partitions import watch_partitions
from streams.kafka.permissions import NotAllowed
from streams.kafka.retry import patiently
from streams.kafka.topics import TopicsError, TopicState, as_described, events_retention_ms
from streams.leaving import end_now, log_end, stop_within
from streams.life import WorkerState
from streams.observing.endpoint import serve_metrics
from streams.settings import Settings, SettingsError
from streams.tasks import Tasks
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

STOP_WITHIN_S = 8.0
LOOK_EVERY_S = 0.5
DENIED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
T = TypeVar("T")


class Intake:
    """One intake process. `run` is its life, in order. ``sources`` are the decoders by topic."""

    def __init__(self, settings: Settings, sources: Mapping[str, EventDecoder]) -> None:
        self._settings, self._sources = settings, sources
        self.telemetry = IntakeTelemetry(settings.domain, settings.delivery)
        self._stop = asyncio.Event()
        self._tasks = Tasks(self.fail)
        self.state = WorkerState.STARTING

    async def run(self) -> int:
        """Live until SIGTERM or SIGINT, and return the exit code."""
        loop, settings = asyncio.get_running_loop(), self._settings
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        guard_loop(loop, settings.stall_timeout_s, self.fail)
        own, sources = await asyncio.to_thread(describe, settings, list(self._sources))
        settings = self._settings = as_described(settings, own)
        if found := await asyncio.to_thread(problems, settings, own, sources):
            for problem in found:
                log.error("intake_refused", problem=problem)
            return Refused.exit_code
        if settings.metrics_port:
            serve_metrics(self.telemetry.registry, settings.metrics_host, settings.metrics_port)
        await self._live(Rekeying(self._sources, self._target(own)))
        return OK

    def _on_signal(self) -> None:
        self._tasks.closing()
        self._stop.set()

    def _target(self, own: Mapping[str, TopicState | None]) -> Target:
        settings = self._settings
        partition_of = murmur_partitions(murmur2, settings.partitions)
        retention_ms = events_retention_ms(settings, own)
        return Target(
            settings.topic("events"), settings.topic("dead-letters"), settings.partitions, partition_of, retention_ms=retention_ms
        )

    async def _live(self, rekeying: Rekeying) -> None:
        telemetry = self.telemetry

        def on_removed(topic: str, records: int) -> None:
            telemetry.removed.labels(topic).inc(records)

        reader = SourceReader(self._settings, list(self._sources), on_removed)
        delivery = self._delivery(reader)
        self._tasks.spawn(watch_partitions(self._settings))
        self.state = WorkerState.JOINING
        await self._unless_stopped(self._join(reader, delivery))
        if not self._stop.is_set():
            self.state = WorkerState.WORKING
            self._tasks.spawn(self._watch(reader))
            telemetry.ready.set(1)
            log.info("ready", topics=sorted(self._sources), group=reader.group)
            working = asyncio.ensure_future(self._work(reader, delivery, rekeying))
            await asyncio.wait((working, self._stopped()), return_when=asyncio.FIRST_COMPLETED)
            telemetry.ready.set(0)
            await stop_within(STOP_WITHIN_S, working, self.fail)  # raises what ended the work, if not the stop
        self.state = WorkerState.LEAVING
        self._tasks.cancel()
        await stop_within(STOP_WITHIN_S, self._leave(reader, delivery), self.fail)
        self.state = WorkerState.STOPPED
        log.info("stopped")

    def _delivery(self, reader: SourceReader) -> Delivery:
        settings = self._settings
        if settings.delivery != "exactly_once":
            return AtLeastOnce(settings, reader.consumer, reader)
        return ExactlyOnce(settings, reader.group, f"{reader.group}-{settings.instance_id or uuid.uuid4().hex}")

    async def _join(self, reader: SourceReader, delivery: Delivery) -> None:
        await delivery.start()
        await patiently(reader.start, "the sources")

    async def _leave(self, reader: SourceReader, delivery: Delivery) -> None:
        await reader.stop()
        await delivery.stop()

    def _stopped(self) -> asyncio.Task[bool]:
        return asyncio.ensure_future(self._stop.wait())

    async def _unless_stopped(self, work: Coroutine[None, None, T]) -> None:
        """Await ``work``, or cancel it on SIGTERM."""
        working, stopped = asyncio.ensure_future(work), self._stopped()
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if working.done():
            working.result()
        else:
            working.cancel()

    # Work

    async def _work(self, reader: SourceReader, delivery: Delivery, rekeying: Rekeying) -> None:
        """Read and write until SIGTERM."""
        while not self._stop.is_set():
            turn, membership = reader.turn, reader.membership
            records = await reader.poll()
            if not records or turn != reader.turn or membership.generation < 1:  # they are read again
                continue
            async with reader.busy:
                try:
                    await self._write(records, membership, reader, delivery, rekeying)
                except Abandoned:
                    self.telemetry.abandoned.inc()
                    log.info("unit_abandoned")
                    reader.rewind()

    async def _write(
        self, records: Sequence[KafkaRecord], membership: Membership, reader: SourceReader, delivery: Delivery, rekeying: Rekeying
    ) -> None:
        """Write the outputs of some records, in one unit or several. Raises `Abandoned`."""
        turn, unit = reader.turn, self._unit()
        for number, record in enumerate(records, 1):
            rekeying.add(unit, record, int(time.time() * 1000))
            if unit.full or number == len(records):
                await delivery.deliver(unit, membership)
                self.telemetry.unit_done(unit, time.time())
                unit = self._unit()
                if turn != reader.turn:  # a rebalance waits, and the rest is read again after it
                    return

    def _unit(self) -> Unit:
        """Return an empty unit. Transactions are never repeated, so their units are not limited."""
        return Unit(repeatable=self._settings.delivery != "exactly_once")

    async def _watch(self, reader: SourceReader) -> None:
        while True:
            partitions = Counter(tp.topic for tp in reader.consumer.assignment())
            self.telemetry.set_lags(reader.lags(), partitions)
            await asyncio.sleep(LOOK_EVERY_S)

    def fail(self, error: BaseException) -> None:
        """End the process at once. What was not committed is read again."""
        code = log_end(_denied(error) or error, self.state)
        end_now(code)


def _denied(error: BaseException) -> NotAllowed | None:
    """Return the error in words if Kafka denies this user something."""
    if not isinstance(error, DENIED):
        return None
    return NotAllowed(f"Kafka: {error!r}; docs/operations.md lists the permissions that the intake needs")


def run_intake(settings: Settings, sources: Mapping[str, EventDecoder]) -> int:
    """Run the intake in this process, and return its exit code.

    Raises `SettingsError`, `KafkaAway` and `TopicsError` if it cannot start; the command prints
    their one line.
    """

    async def main() -> int:
        intake = Intake(settings, sources)
        try:
            return await intake.run()
        except (SettingsError, KafkaAway, TopicsError):
            raise
        except Exception as error:
            return log_end(_denied(error) or error, intake.state)

    return asyncio.run(main())
