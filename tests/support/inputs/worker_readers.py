"""The readers of topics in a worker, without a broker. `support.inputs.table` lists all readers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
from faust.types import TP
from rocksdict import Options, Rdict
from support.damage.mutations import to_json
from support.in_memory import DictStore, NullRanker
from support.inputs.records import EVENT, HYBRID, SETTINGS

from models.registry import build
from streams.engine.consumer import PollConsumer
from streams.engine.recovery import Recovery
from streams.events.decode import EventDecoder
from streams.events.records import Event
from streams.kafka.outbox import Outbox
from streams.learning.model_thread import ModelThread
from streams.learning.replica import Replica
from streams.learning.step_reader import StepReader
from streams.learning.updates import Updates
from streams.observing.observer import Unobserved
from streams.observing.telemetry import Telemetry
from streams.pipeline import Pipeline
from streams.rules import rules_of, topics_of
from streams.sessions import changelog
from streams.sessions.deletion import Deleting
from streams.sessions.step import Limits, NewerState, Source, pack, step, unpack
from streams.sessions.store import Changes
from streams.training.training import Training
from streams.wire.record import Record
from streams.worker import Worker


class Reader:
    """One reader of one topic.

    ``refused`` and ``state`` are read between two calls of ``take``. ``handled`` are the errors by
    which it refuses to run, as documented.
    """

    handled: tuple[type[Exception], ...] = ()

    async def take(self, record: Record) -> None:
        """Take one record, as the consumer of its topic would pass it on."""
        raise NotImplementedError

    def close(self) -> None:
        """End what the reader has started."""

    @property
    def refused(self) -> float:
        """How many records were refused, according to the counter that users see."""
        raise NotImplementedError

    @property
    def state(self) -> Any:
        """What was kept of the records."""
        raise NotImplementedError


def counted(counter: Any) -> float:
    """The value of a counter of prometheus-client, of all labels together."""
    return sum(sample.value for metric in counter.collect() for sample in metric.samples if sample.name.endswith("_total"))


class Journey(Reader):
    """The worker's journey of an event; its dead letters are its refusals."""

    def __init__(self) -> None:
        topics, self._store, self._letters, self._offset = topics_of(SETTINGS), DictStore(), 0, 0
        self._dead_letters = topics.dead_letters
        self._pipeline = Pipeline(
            decoder=EventDecoder(), store=self._store, ranker=NullRanker(), delivery=self, observer=Unobserved(), topics=topics,
            rules=rules_of(SETTINGS, Deleting(b"", None)),
        )  # fmt: skip

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        self._letters += len(outputs.get((self._dead_letters, 0), ()))
        return dict.fromkeys(changes, 0)

    async def take(self, record: Record) -> None:
        self._offset += 1
        await self._pipeline.process({0: [msgspec.structs.replace(record, offset=self._offset)]}, 1)

    @property
    def refused(self) -> float:
        return self._letters

    @property
    def state(self) -> Any:
        return dict(self._store.values)


class WorkerItems(Reader):
    """The worker's catalogue."""

    def __init__(self, folder: Path) -> None:
        self._worker = Worker(SETTINGS.model_copy(update={"data_dir": folder}))

    async def take(self, record: Record) -> None:
        await self._worker.apply_items([record])

    def close(self) -> None:
        self._worker._thread.stop()

    @property
    def refused(self) -> float:
        return counted(self._worker.telemetry.items.refused)

    @property
    def state(self) -> Any:
        catalogue = self._worker.catalogue
        return len(catalogue), catalogue.hidden, catalogue.get("mug")


class Counting(Reader):
    """A replica that follows; the next valid transition closes the step."""

    def __init__(self, model: str, **options: Any) -> None:
        self.thread, self.telemetry = ModelThread(), Telemetry()
        self.model = build(model, 1, **options)
        self._reader = self.reader()
        self._offset = 0

    def reader(self) -> StepReader:
        """The reader of the log, of what takes the steps."""
        self.replica = Replica(SETTINGS, self.model, self.thread, self.telemetry)
        return self.replica.reader

    async def take(self, record: Record) -> None:
        self._offset += 1
        await self._reader.apply([msgspec.structs.replace(record, offset=self._offset)])

    def close(self) -> None:
        self.thread.stop()

    @property
    def refused(self) -> float:
        return counted(self.telemetry.model.refused_transitions)

    @property
    def state(self) -> Any:
        """Refused transitions must not be in the open step."""
        return len(self._reader._steps._open), dict(self.model.position)


class Learning(Counting):
    """A trainer's model that learns."""

    def reader(self) -> StepReader:
        return Training(SETTINGS, self.model, self.thread, self.telemetry, lambda _: None, None).reader


class Parameters(Reader):
    """The follower of a trainer's parameters, with a model that ranks."""

    def __init__(self) -> None:
        self._counting = Counting("hybrid", **HYBRID)
        self._updates = Updates("model-updates", {}, self._counting.replica, self._counting.telemetry, "m")
        self._counting.replica.reader.follower.caught_up.set()

    async def take(self, record: Record) -> None:
        await asyncio.wait_for(self._updates.apply([record]), 10)

    def close(self) -> None:
        self._counting.close()

    @property
    def refused(self) -> float:
        return counted(self._counting.telemetry.model.refused_updates)

    @property
    def state(self) -> Any:
        replica = self._counting.replica
        return replica.epoch, self._counting.model.steps, self._counting.model.state()["net.items.bias"].tobytes()


class Recovered(Reader):
    """The recovery of sessions from their changelog, and the next event of the same user."""

    handled = (NewerState,)

    def __init__(self, folder: Path) -> None:
        self._database, self._foreign, self._offset = Rdict(str(folder), Options(raw_mode=True)), 0, 0
        table = SimpleNamespace(data=SimpleNamespace(_db_for_partition=lambda _: self._database, offset_key=b"__offset__"))
        tp, recovery = TP("sessions-changelog", 0), Recovery.__new__(Recovery)
        app = SimpleNamespace(changelog_format=changelog, on_foreign_bytes=self._on_foreign)
        recovery.__dict__.update(
            app=app, _seeked=True, _removed={}, active_tps={tp}, active_offsets={}, tp_to_table={tp: table},
            _finish_if_done=lambda: None,
        )  # fmt: skip
        self._recovery: Any = recovery

    def _on_foreign(self, count: int) -> None:
        self._foreign += count

    async def take(self, record: Record) -> None:
        self._offset += 1
        self._recovery.apply(TP("sessions-changelog", 0), [msgspec.structs.replace(record, offset=self._offset)])
        assert changelog.next_offset(self._database.get) >= 0
        event = msgspec.json.decode(to_json(EVENT), type=Event)
        for key, value in list(self._database.items()):
            if key[:2] in (b"u:", b"s:"):
                state = unpack(value)
                step(state, event, Source(0, 3, event.timestamp), Limits(1, 0))
                unpack(pack(state, 3))

    def close(self) -> None:
        self._database.close()

    @property
    def refused(self) -> float:
        return self._foreign

    @property
    def state(self) -> Any:
        return {key: value for key, value in self._database.items() if key != b"__offset__"}


class Election(Reader):
    """The worker's poll of the learner topic."""

    def __init__(self) -> None:
        self._count = 0
        self._consumer: Any = PollConsumer.__new__(PollConsumer)
        self._tp = TP("learner", 0)
        app = SimpleNamespace(
            tables=SimpleNamespace(recovery=None), consumer_generation_id=1, in_recovery=False, events_name="events",
            on_foreign_election=self._counting,
        )  # fmt: skip
        self._consumer.__dict__.update(app=app, flow_active=True, _may_poll=self._may_poll, _poll=self._poll)
        self._consumer.__dict__.update(_get_active_partitions=lambda: {self._tp}, _is_changelog_tp=lambda _: False)
        self._consumer._stopped = self._consumer._crashed = asyncio.Event()

    def _counting(self, count: int) -> None:
        self._count += count

    async def _may_poll(self, timeout: float) -> bool:
        return True

    async def _poll(self, timeout: float) -> Any:
        return {self._tp: [self._record]}

    async def take(self, record: Record) -> None:
        self._record = record
        assert [message async for message in self._consumer.getmany(0.1)] == []

    @property
    def refused(self) -> float:
        return self._count

    @property
    def state(self) -> Any:
        return None
