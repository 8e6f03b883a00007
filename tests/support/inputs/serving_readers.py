"""The readers of topics in `ouzel serve` and in the tools, without a broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
from kafka import TopicPartition
from support.inputs.records import INTACT, NEWER, NOW, SETTINGS
from support.inputs.worker_readers import Reader, counted

from models.panel import Panel
from models.registry import build
from serving.demo.tally import Counts, TopicTally
from serving.state.experts import Experts, newest_panel
from serving.state.keys import Keys
from serving.state.service import Service
from serving.state.telemetry import ServingTelemetry
from streams.events.decode import EventDecoder
from streams.learning.snapshot_log import SnapshotLog
from streams.learning.snapshots import restore_from
from streams.observing.telemetry import Telemetry
from streams.wire.record import Record


class ServedTransitions(Reader):
    """The experts of a server."""

    def __init__(self) -> None:
        self._telemetry, self._panel = ServingTelemetry(), Panel(64)
        self._experts = Experts(SETTINGS, self._telemetry, self._panel, None)

    async def take(self, record: Record) -> None:
        await self._experts._apply([record])

    def close(self) -> None:
        self._experts._thread.stop()

    @property
    def refused(self) -> float:
        return counted(self._telemetry.refused_records.labels("transitions"))

    @property
    def state(self) -> Any:
        return dict(self._panel.memory.position), len(self._panel.memory.vocabulary)


class Snapshots(Reader):
    """The `model` topic. Each record is read after a snapshot that is intact."""

    def __init__(self, *, served: bool) -> None:
        self._served, self._telemetry, self._serving = served, Telemetry(), ServingTelemetry()
        self._used: Any = None

    async def take(self, record: Record) -> None:
        log, refused = SnapshotLog(), self.refused
        for offset, (key, value, headers) in enumerate((*INTACT[0], INTACT[1], *NEWER[0])):
            log.add(Record("model", 0, offset, NOW, key, value, tuple(headers)))
        log.add(msgspec.structs.replace(record, offset=99))
        if self._served:
            _, manifest = await newest_panel(log, SETTINGS, self._serving)
        else:
            restored = await restore_from(log, SETTINGS, build("markov", 0, max_items=256), self._telemetry)
            manifest = restored.manifest if restored is not None else None
        self._used = manifest.snapshot if manifest is not None else None
        assert self._used is not None, "the intact one was lost"
        if self.refused > refused:
            assert self._used == "intact", "a refused one is not used"

    @property
    def refused(self) -> float:
        if self._served:
            return counted(self._serving.refused_records.labels("model"))
        return counted(self._telemetry.model.refused_snapshots)

    @property
    def state(self) -> Any:
        """The log is read anew for each record: nothing is kept."""
        return None


class Serving(Reader):
    """`ouzel serve`, and the answer to the user whose ranking arrived."""

    def __init__(self, topic: str) -> None:
        self._topic, self._telemetry = topic, ServingTelemetry()
        settings = SETTINGS.model_copy(update={"serve_rankings": 10})
        self._service = Service(settings, Keys(None), EventDecoder(), self._telemetry, lambda _: None)
        self._service.experts = SimpleNamespace(ask=self._ask)  # type: ignore[assignment]

    async def _ask(self, question: Callable[[Panel], Any]) -> Any:
        return question(Panel(16))

    async def take(self, record: Record) -> None:
        service = self._service
        match self._topic:
            case "recommendations":
                await service._take_rankings([record])
                for ranking in [service.cache.get("ann"), service.cache.popular]:
                    if ranking is not None:
                        assert await service.answers.for_owner("ann")
                        assert json.dumps(ranking.event_id)
            case "items":
                await service._take_items([record])
            case "events":
                await service._take_events([record])

    @property
    def refused(self) -> float:
        return counted(self._telemetry.refused_records.labels(self._topic))

    @property
    def state(self) -> Any:
        service = self._service
        match self._topic:
            case "recommendations":
                return service.cache.all_of("ann"), service.cache.popular
            case "items":
                return list(service.shelves.ids()), dict(service.shelves.categories), service.shelves.hidden
        return None


class Tool(Reader):
    """A tool that prints what it can read and leaves out the rest; it counts nothing."""

    def __init__(self, print_: Callable[[Record], object]) -> None:
        self._print = print_

    async def take(self, record: Record) -> None:
        self._print(record)

    @property
    def refused(self) -> float:
        return 0

    @property
    def state(self) -> Any:
        return None


class Tally(Reader):
    """The demo's independent count of a topic."""

    def __init__(self, kind: str) -> None:
        self.counts, self._kind = Counts(), kind
        self._tally: Any = TopicTally.__new__(TopicTally)
        self._tally.counts, self._tally._kinds, self._tally._positions = self.counts, {kind: kind}, {}

    async def take(self, record: Record) -> None:
        self._tally._take(TopicPartition(self._kind, 0), [record])

    @property
    def refused(self) -> float:
        return self.counts.refused

    @property
    def state(self) -> Any:
        return dict(self.counts.records), dict(self.counts.repeated), self.counts.latest
