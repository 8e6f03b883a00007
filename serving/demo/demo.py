"""Runs the demo: a broker, a worker, the page and a source of events. Watches it from outside."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import webbrowser
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.live import Live

from serving.demo import view as demo_view
from serving.demo.browser import has_browser
from serving.demo.foreground import foreground, uninterrupted
from serving.demo.stage import MOST_MEMORY, TURN_S, DemoError, DemoOptions, Stage
from serving.demo.tally import TopicTally, end_positions
from serving.demo.view import Moment, Summary
from serving.outputs import STDOUT, print_json
from serving.state.worker_metrics import WorkerMetrics
from serving.tables import print_table
from streams.kafka.connection import in_one_line

STALLED_AFTER_S = 60.0
SETTLED_AFTER_S = 1.0
DISPUTED_AFTER_S = 10.0
SETTLE_WITHIN_S = 6.0
LINE_EVERY_S = 5.0
RATE_OVER_S = 5.0
FULL = (
    f"The embedded broker uses {MOST_MEMORY >> 30} GB of memory, so the demo ends. It keeps every record and cannot remove any. "
    "Use --kafka-home or --broker for a demo that runs on."
)


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
    """Run until every event is processed or until Ctrl-C, then stop every process.

    Raises `DemoError` or `BrokerError`.
    """
    with foreground():
        watch = None
        try:
            with tempfile.TemporaryDirectory(prefix="ouzel-demo-") as folder, _unwinding() as stack:
                try:
                    stage = Stage(options, console, Path(folder), stack)
                    stage.set_up()
                    console.print(f"The demo shop is running: {stage.address}", soft_wrap=True)
                    if options.browser and has_browser(os.environ, sys.platform, on_terminal=console.is_terminal):
                        webbrowser.open(stage.address)
                    watch = Watch(options, console, stage, stack.enter_context(TopicTally(stage.settings, stage.start)))
                    watch.until_settled()
                except KeyboardInterrupt:
                    console.print("Stopping ...")
                    if watch is not None:
                        watch.settle()
        except KeyboardInterrupt:
            console.print("Stopped immediately.")
        if watch is not None:
            watch.conclude()


class Watch:
    """Watches one run of the demo and prints its summary."""

    def __init__(
        self, options: DemoOptions, console: Console, stage: Stage, tally: TopicTally, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._options = options
        self._console = console
        self._stage = stage
        self._tally = tally
        self._metrics = WorkerMetrics()
        self._began = clock()
        self._pace = _Pace()
        self._settled = False
        self._problems: list[str] = []
        self._last_seen: object = None
        self._quiet_since = self._began

    def until_settled(self) -> None:
        """Show the figures until every produced event is processed. Raises `DemoError`."""
        if self._console.is_terminal:
            with Live(console=self._console, auto_refresh=False, transient=True) as live:
                for moment in self._moments():
                    live.update(demo_view.panel(moment), refresh=True)
            return
        shown = -LINE_EVERY_S
        for moment in self._moments():
            if moment.seconds - shown >= LINE_EVERY_S:
                shown = moment.seconds
                self._console.print(demo_view.line(moment), soft_wrap=True, highlight=False)

    def settle(self) -> None:
        """After Ctrl-C: stop the source, and wait a few seconds for the events that it has sent."""
        self._stage.source.stop()
        deadline = self._clock() + SETTLE_WITHIN_S
        while not self._settled and self._stage.worker.returncode is None and self._clock() < deadline:
            self._settled = self.finished()
            time.sleep(TURN_S)

    def conclude(self) -> None:
        """Print the summary, as JSON too if ``--json`` asks for it, there or to its file.

        Raises `DemoError` if the records on the topics and the worker's counters differ.
        """
        counts = self._tally.counts
        summary = demo_view.summarise(counts, self._metrics)
        print_table(("figure", "value"), demo_view.summary_rows(summary), self._console, numbers=("value",), title="Summary")
        if self._options.json == STDOUT:
            print_json(asdict(summary))
        elif self._options.json is not None:
            write_json(self._options.json, summary)
        if not self._settled:
            self._console.print("Stopped before every event was processed, so these counts are not final.", soft_wrap=True)
            return
        if self._problems:  # of the last check: the page may have sent clicks since then
            raise DemoError("the records on the topics and the worker's counters differ: " + "; ".join(self._problems))
        checked = "Checked: an independent consumer counted the records on the topics, and they equal the worker's counters."
        self._console.print(checked, soft_wrap=True)

    def _moments(self) -> Iterator[Moment]:
        """Yield the figures of each turn until every event is processed. Raises `DemoError`."""
        while True:
            self._stage.check()
            if self._stage.stop_if_full():
                self._console.print(FULL, soft_wrap=True)
            if self._tally.failure is not None:
                raise DemoError(f"the topics could not be read: {in_one_line(self._tally.failure)}")
            self._settled = self.finished()
            if not self._settled and self._clock() - self._quiet_since > STALLED_AFTER_S:
                tail = self._stage.worker.tail().splitlines()
                raise DemoError(f"no progress for {STALLED_AFTER_S:.0f} s. The end of the worker's log:", *tail)
            yield self._moment()
            if self._settled:
                return
            time.sleep(TURN_S)

    def finished(self) -> bool:
        """Tell whether the source has ended, all events are processed, and all outputs are read.

        The tally has read everything if no figure changes for a second. With Apache Kafka, the end
        offsets of the topics are checked, too. The embedded broker reports wrong end offsets for
        batched records.
        """
        # This comes first, so that the figures below include every event that the source has sent.
        ended = self._stage.source.returncode
        self._metrics = metrics = self._stage.metrics() or self._metrics
        with self._tally.lock:
            read = dict(self._tally.counts.records)
            self._problems = demo_view.disagreements(self._tally.counts, metrics)
        now, seen = self._clock(), (metrics.done, read, ended)
        if seen != self._last_seen:
            self._last_seen, self._quiet_since = seen, now
        if ended is None or metrics.done < read["events"]:
            return False
        if now - self._quiet_since < (DISPUTED_AFTER_S if self._problems else SETTLED_AFTER_S):
            return False
        if self._options.embedded:
            return True
        reached = self._tally.reached(end_positions(self._stage.settings))
        with self._tally.lock:
            return reached and self._tally.counts.records == read  # reading the end offsets takes a while

    def _moment(self) -> Moment:
        elapsed, metrics, counts = self._clock() - self._began, self._metrics, self._tally.counts
        with self._tally.lock:
            p50, p99 = counts.freshness.recent(0.50), counts.freshness.recent(0.99)
            latest = demo_view.in_words(counts.latest, counts.catalogue)
        return Moment(
            source="real clicks" if self._options.data else "simulated shop",
            broker=self._stage.settings.broker,
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


def write_json(path: Path, summary: Summary) -> None:
    """Write the summary atomically: the file is complete or unchanged."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(asdict(summary), indent=2) + "\n")
    partial.replace(path)


@contextmanager
def _unwinding() -> Iterator[ExitStack]:
    """Enter an exit stack that ignores Ctrl-C while it stops the processes."""
    stack = ExitStack()
    try:
        yield stack
    finally:
        with uninterrupted():
            stack.close()
