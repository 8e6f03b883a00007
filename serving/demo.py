"""The demo: a broker, a worker and a stream of clicks, watched from outside."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from serving import demo_view
from serving.brokers import ApacheBroker, EmbeddedBroker
from serving.demo_view import Moment, Summary
from serving.foreground import foreground, uninterrupted
from serving.processes import Child, free_ports
from serving.tally import TopicTally, end_positions
from serving.worker_metrics import WorkerMetrics, scrape
from streams.settings import Settings, load_settings
from streams.topics import create_topics

READY_WITHIN_S = 120.0
STALLED_AFTER_S = 60.0
SETTLED_AFTER_S = 1.0
DISPUTED_AFTER_S = 10.0
TURN_S = 0.25
LINE_EVERY_S = 5.0
RATE_OVER_S = 5.0


class DemoError(Exception):
    """The demo could not go on; the message says what ended, with the end of its log."""


@dataclass(frozen=True)
class DemoOptions:
    """What to run. ``events``: end after so many; ``data``: clicks for the simulator's; ``rate``: events/s."""

    events: int | None = None
    data: Sequence[Path] = ()
    rate: float = 250.0
    json: Path | None = None
    broker: str | None = None
    kafka_home: Path | None = None


@dataclass
class _Pace:
    """Events per second over the last few seconds."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, at: float, done: int) -> float:
        self.seen.append((at, done))
        while self.seen[0][0] < at - RATE_OVER_S and len(self.seen) > 2:
            self.seen.popleft()
        earlier, before = self.seen[0]
        return (done - before) / (at - earlier) if at > earlier else 0.0


def run_demo(options: DemoOptions, console: Console) -> None:
    """Run until the events are dealt with or Ctrl-C, and leave no process. Raises `DemoError`, `BrokerError`."""
    with foreground():
        demo = None
        try:
            with tempfile.TemporaryDirectory(prefix="ouzel-demo-") as folder, _unwinding() as stack:
                demo = Demo(options, console, Path(folder), stack)
                demo.start()
                demo.watch()
        except KeyboardInterrupt:
            console.print("Stopped.")
        if demo is not None:
            demo.conclude()


class Demo:
    """One run. Processes are entered on ``stack``, so that whoever unwinds it stops them, the newest first."""

    def __init__(self, options: DemoOptions, console: Console, folder: Path, stack: ExitStack) -> None:
        self._options = options
        self._console = console
        self._folder = folder
        self._stack = stack
        self._metrics = WorkerMetrics()
        self._settled = False
        self._embedded = not (options.broker or options.kafka_home)
        self._told: object = None
        self._silent_since = 0.0
        self._began = time.monotonic()
        self._pace = _Pace()
        self._tally: TopicTally | None = None

    def start(self) -> None:
        """Start the broker, the worker and the source of events, in this order."""
        self._settings = settings = self._topics(self._broker())
        start = end_positions(settings)
        (self._port,) = free_ports(1)
        environment = self._environment(settings)
        self._console.print("Starting the worker ...")
        self._worker = self._child("worker", ["worker"], environment)
        self._wait_ready()
        self._source = self._child(*self._feed(), environment)
        self._tally = self._stack.enter_context(TopicTally(settings, start))
        self._began = time.monotonic()

    def watch(self) -> None:
        """Show the figures until everything that was produced is dealt with."""
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False, transient=True) as live:
                for moment in self._moments():
                    live.update(demo_view.panel(moment), refresh=True)
            return
        shown = -LINE_EVERY_S
        for moment in self._moments():
            if moment.seconds - shown >= LINE_EVERY_S:
                shown = moment.seconds
                self._console.print(demo_view.line(moment), soft_wrap=True, markup=False, highlight=False)

    def conclude(self) -> None:
        """Print the summary and write it. Raises `DemoError` if the topics and the worker's counters disagree."""
        if self._tally is None:
            return
        counts = self._tally.counts
        summary = demo_view.summarise(counts, self._metrics)
        self._console.print(demo_view.summary_table(summary))
        if self._options.json is not None:
            write_json(self._options.json, summary)
        if not self._settled:
            self._console.print("Stopped before the end: the counts are of the moment.")
            return
        if problems := demo_view.disagreements(counts, self._metrics):
            raise DemoError("the topics and the worker's counters DISAGREE: " + "; ".join(problems))
        self._console.print("Counted on the topics by an independent consumer: equal to the worker's counters.", soft_wrap=True)

    def _broker(self) -> str:
        options = self._options
        if options.broker:
            return options.broker
        if options.kafka_home:
            self._console.print("Starting Apache Kafka ...")
            return self._stack.enter_context(ApacheBroker(options.kafka_home)).bootstrap
        self._console.print("Starting the embedded broker ...")
        return self._stack.enter_context(EmbeddedBroker()).bootstrap

    def _topics(self, broker: str) -> Settings:
        """Topics of our own: on a Kafka that has been used before, beside its real events, never among them."""
        changes: dict[str, Any] = {"broker": broker} | ({"idempotent": False} if self._embedded else {})
        settings = load_settings().model_copy(update=changes)
        create_topics(settings)
        if any(end_positions(settings, ["events"]).values()):
            name = f"ouzel-demo-{time.strftime('%Y%m%d-%H%M%S')}"
            self._console.print(f"{settings.topic('events')} holds events already: this demo uses the topics {name}.*")
            settings = settings.model_copy(update={"topic_prefix": f"{name}.", "app_id": name})
            create_topics(settings)
        return settings

    def _environment(self, settings: Settings) -> dict[str, str]:
        return {
            "OUZEL_BROKER": settings.broker,
            "OUZEL_TOPIC_PREFIX": settings.topic_prefix,
            "OUZEL_APP_ID": settings.app_id,
            "OUZEL_DATA_DIR": str(self._folder / "data"),
            "OUZEL_METRICS_HOST": "127.0.0.1",
            "OUZEL_METRICS_PORT": str(self._port),
            "OUZEL_IDEMPOTENT": str(settings.idempotent),
            "OUZEL_LOG_FORMAT": "text",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }

    def _child(self, name: str, arguments: Sequence[str], environment: dict[str, str]) -> Child:
        command = [sys.executable, "-m", "serving.cli", *arguments]
        return self._stack.enter_context(Child(name, command, self._folder / f"{name}.log", environment))

    def _feed(self) -> tuple[str, list[str]]:
        options = self._options
        name = "replay" if options.data else "simulate"
        pace = ["--rate", f"{options.rate:g}"] if options.rate > 0 or not options.data else []
        limit = ["--limit" if options.data else "--events", str(options.events)] if options.events else []
        return name, [name, *map(str, options.data), *pace, *limit]

    def _wait_ready(self) -> None:
        until = time.monotonic() + READY_WITHIN_S
        while not ((metrics := scrape(self._port)) and metrics.ready):
            if time.monotonic() > until:
                raise DemoError(f"the worker was not ready within {READY_WITHIN_S:.0f} s:\n{self._worker.tail()}")
            self._check(self._worker, ended_well=False)
            time.sleep(TURN_S)

    def _moments(self) -> Iterator[Moment]:
        """A moment per turn, until all is done."""
        progress, progressed = -1, time.monotonic()
        while not self._settled:
            self._check(self._worker, ended_well=False)
            self._check(self._source, ended_well=True)
            assert self._tally is not None
            if self._tally.failure is not None:
                raise DemoError(f"the topics could not be read: {self._tally.failure!r}")
            self._metrics = scrape(self._port) or self._metrics
            if self._metrics.done != progress:
                progress, progressed = self._metrics.done, time.monotonic()
            elif time.monotonic() - progressed > STALLED_AFTER_S:
                raise DemoError(f"nothing has happened for {STALLED_AFTER_S:.0f} s; the worker:\n{self._worker.tail()}")
            yield self._moment()
            if self._source.returncode == 0 and self._finished():
                self._settled = True
            else:
                time.sleep(TURN_S)

    def _finished(self) -> bool:
        """Whether all that was produced is dealt with, and all that the worker made of it was read.

        Silence says so: the embedded broker's end offsets are wrong for batched records. Kafka's are asked as well.
        """
        assert self._tally is not None
        with self._tally.lock:
            counts, read = self._tally.counts, dict(self._tally.counts.records)
        now, told = time.monotonic(), (self._metrics, read)
        if told != self._told:
            self._told, self._silent_since = told, now
        if self._metrics.done < read["events"]:
            return False
        agreed = not demo_view.disagreements(counts, self._metrics)
        if now - self._silent_since < (SETTLED_AFTER_S if agreed else DISPUTED_AFTER_S):
            return False
        return self._embedded or self._tally.reached(end_positions(self._settings))

    def _moment(self) -> Moment:
        assert self._tally is not None
        elapsed = time.monotonic() - self._began
        metrics, counts = self._metrics, self._tally.counts
        with self._tally.lock:
            p50, p99 = counts.freshness.recent(0.50), counts.freshness.recent(0.99)
            latest = demo_view.in_words(counts.latest, counts.catalogue)
        return Moment(
            source="real clicks" if self._options.data else "simulated shop",
            broker=self._settings.broker,
            seconds=elapsed,
            done=metrics.done,
            expected=self._options.events,
            events_per_second=self._pace.add(elapsed, metrics.done),
            lag=metrics.lag,
            freshness_p50_ms=p50,
            freshness_p99_ms=p99,
            recall=metrics.recall,
            popularity_recall=metrics.popularity_recall,
            latest=latest,
        )

    @staticmethod
    def _check(child: Child, *, ended_well: bool) -> None:
        code = child.returncode
        if code is None or (ended_well and code == 0):
            return
        raise DemoError(f"{child.name} ended with exit status {code}. The end of its log:\n{child.tail()}")


def write_json(path: Path, summary: Summary) -> None:
    """Write the summary, whole or not at all."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(asdict(summary), indent=2) + "\n")
    partial.replace(path)


@contextmanager
def _unwinding() -> Iterator[ExitStack]:
    """An exit stack whose unwinding is not interrupted."""
    stack = ExitStack()
    try:
        yield stack
    finally:
        with uninterrupted():
            stack.close()
