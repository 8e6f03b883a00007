"""The rig that a fault happens to: a broker, workers, a steady load and a reader of the output."""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from faults.cluster import Cluster
from faults.proxy import ProxiedBroker, Proxy
from faults.traffic import Load, Tail
from faults.verdict import verdict
from kafka import KafkaConsumer, TopicPartition
from support.damage.hostile import Sent
from support.damage.hostile import send as send_foreign
from support.oracle import UNCOMPACTED, Place
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics

DONE_WITHIN_S = 300.0
FRESH_WITHIN_S = 120.0


class Rig:
    """The parts that one fault runs on; a context manager that starts and stops them.

    ``scale`` shortens the faults that repeat. ``rate`` is the load in events per second. With
    ``proxied``, the workers reach the broker through ``proxy``. ``sabotage`` builds a fault into
    the first worker: see `saboteur`. The rest are settings of the workers; with ``replication``,
    the rig has a cluster of three brokers instead of one.
    """

    def __init__(
        self, home: Path, folder: Path, scale: float, *, workers: int = 2, rate: float = 800.0, delivery: str = "leased",
        proxied: bool = False, sabotage: str = "", **changes: object,
    ) -> None:  # fmt: skip
        self.folder, self.scale, self.rate, self.delivery = folder, scale, rate, delivery
        self.proxy: Proxy | None = None
        if proxied:
            behind = ProxiedBroker(home, UNCOMPACTED)
            self.broker: ApacheBroker = behind
            self.proxy = behind.proxy
        else:
            self.broker = ApacheBroker(home, UNCOMPACTED)
        self.cluster = Cluster(home) if changes.get("replication") else None
        self._count, self._sabotage, self._changes = workers, sabotage, changes
        self.recoveries: list[float] = []
        self.foreign: frozenset[Place] = frozenset()
        self.source_letters: frozenset[tuple[str, int, int]] = frozenset()
        self.notes: list[str] = []
        self._beside_load = 0
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> Rig:
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        kafka = self.broker if self.cluster is None else self.cluster
        kafka.__enter__()
        fields: dict[str, Any] = {"session_timeout_s": 6.0, "delivery": self.delivery, **self._changes}
        self.settings = fresh_settings(kafka.bootstrap, self.folder, **fields)
        create_topics(self.settings)
        if self.proxy is not None:
            self.proxy.start()
            self.proxy.wait_listening()
        for number in range(self._count):
            self.add_worker(self._sabotage if number == 0 else "")
        for worker in self.workers:
            worker.wait_ready()
        self.tail = Tail(self.settings)
        self.tail.start()
        self.tail.started.wait(30)
        self.load = self._new_load()
        self.load.start()

    def _new_load(self) -> Load:
        """The load, not started. All else runs when this is called."""
        return Load(self.settings, self.rate)

    @property
    def processes(self) -> Sequence[WorkerProcess]:
        """All processes that must be kept alive."""
        return self.workers

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.processes:
            if process.alive:
                send(process, signal.SIGCONT)
                process.kill()
        if self.proxy is not None and self.proxy.is_alive():
            self.proxy.stop()
        if self.cluster is not None:
            self.cluster.stop()
        self.broker.stop()

    def add_worker(self, sabotage: str = "") -> WorkerProcess:
        """Start one more worker, with a data directory of its own. ``sabotage``: see `saboteur`."""
        number = len(self.workers)
        changes: dict[str, object] = {"data_dir": self.folder / f"data-{number}" / "data"}
        if self.proxy is not None:
            changes["broker"] = f"127.0.0.1:{self.proxy.port}"
        settings = self.settings.model_copy(update=changes)
        module = "faults.saboteur" if sabotage else "serving.cli"
        worker = WorkerProcess(settings, self.folder / f"worker-{number}.log", module=module, SABOTAGE=sabotage)
        self.workers.append(worker.start())
        return worker

    def times(self, at_full_length: int) -> range:
        """One number for each repetition of a fault, at this scale."""
        return range(max(1, round(at_full_length * self.scale)))

    def wait(self, seconds: float) -> None:
        """Wait while the load continues."""
        time.sleep(seconds)

    def events(self, at_full_length: int) -> None:
        """Wait until the load has sent this many events, at this scale."""
        wanted = at_full_length * self.scale
        wait_until(lambda: len(self.load.sent) >= wanted or self.load.error is not None, f"{wanted} events", 3600)

    def fresh_since(self, began: float) -> float:
        """Wait until each partition has a recommendation for an event sent after ``began``.

        Returns the seconds from ``began`` to the last partition's first such recommendation, and
        adds them to ``recoveries``. ``began`` is a time of the monotonic clock.
        """
        sent = self.load.sent

        def arrival(partition: int) -> float | None:
            arrivals = (at for at, number in reversed(self.tail.seen[partition]) if at >= began and sent[number] >= began)
            return min(arrivals, default=None)

        wait_until(lambda: all(arrival(number) is not None for number in self.tail.seen), "fresh again", FRESH_WITHIN_S)
        took = max(arrival(number) or 0.0 for number in self.tail.seen) - began
        self.recoveries.append(took)
        return took

    def produce(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Send events beside the load, as fast as possible. Returns how many."""
        sent = produce(self.settings, records)
        self._beside_load += sent
        return sent

    def produce_foreign(self, records: Sequence[Sent]) -> None:
        """Write records to Ouzel's own topics; the verdict leaves them out."""
        self.foreign |= send_foreign(self.settings, records)

    def restart(self, process: WorkerProcess) -> None:
        """Start a process that has ended, as a supervisor would."""
        assert not process.alive, "the process to restart still runs"
        process.start()

    def keep_alive(self) -> None:
        """Restart every process that has ended."""
        for process in self.processes:
            if not process.alive:
                self.restart(process)

    def ready(self) -> None:
        """Wait until every process works; restart those that end meanwhile."""
        for process in self.processes:
            wait_until(partial(self._revived, process), "process ready", 120, every_s=0.2)

    def _revived(self, process: WorkerProcess) -> bool:
        if not process.alive:
            self.restart(process)
        return process.ready

    def wipe(self, worker: WorkerProcess) -> None:
        """Delete a worker's data directory."""
        shutil.rmtree(worker.settings.data_dir, ignore_errors=True)

    def committed(self) -> dict[int, int]:
        """The offset that the group has committed, for each partition of the events."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.broker, group_id=self.settings.app_id, enable_auto_commit=False)
        try:
            topic = self.settings.topic("events")
            return {n: consumer.committed(TopicPartition(topic, n)) or 0 for n in range(self.settings.partitions)}
        finally:
            consumer.close()

    def ends(self, isolation_level: str = "read_uncommitted") -> dict[int, int]:
        """The end of the log, for each partition of the events."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.broker, isolation_level=isolation_level)
        try:
            topic = self.settings.topic("events")
            ends = consumer.end_offsets([TopicPartition(topic, n) for n in range(self.settings.partitions)])
            return {tp.partition: end for tp, end in ends.items()}
        finally:
            consumer.close()

    def finish(self, stuck_after_s: float = math.inf) -> int:
        """End the load, wait until every event is committed, and stop the workers cleanly.

        Returns the number of events. Fails if the events are not committed within `DONE_WITHIN_S`,
        unless the commits have stood still for ``stuck_after_s``: then it goes on without them. The
        control sets that, because its stock app may stop committing.
        """
        events = self.load.finish() + self._beside_load
        ends, until = self.ends(), time.monotonic() + DONE_WITHIN_S
        done, moved_at = self.committed(), time.monotonic()
        while done != ends and time.monotonic() - moved_at < stuck_after_s:
            assert time.monotonic() < until, f"committed {done} of {ends}: {[worker.tail() for worker in self.workers]}"
            self.keep_alive()
            time.sleep(0.5)
            before, done = done, self.committed()
            if done != before:
                moved_at = time.monotonic()
        for worker in self.workers:
            if worker.alive and worker.stop(20) != 0:
                self.notes.append(f"a worker exited with {worker.process.returncode if worker.process else None}")
        self.tail.stop()
        return events

    def judge(self, fault: str, events: int, *, may_repeat: bool, rolled_back: bool = False) -> dict[str, Any]:
        """The verdict, once `finish` has returned the number of ``events``; see `verdict`."""
        folders = [worker.settings.data_dir for worker in self.workers]
        return verdict(
            fault, self.delivery, self.settings, folders, events, self.recoveries, may_repeat=may_repeat,
            rolled_back=rolled_back, foreign=self.foreign, source_letters=self.source_letters,
        )  # fmt: skip


def stopped(worker: WorkerProcess) -> bool:
    """Whether SIGSTOP has stopped the worker."""
    return worker.process is not None and state_of(worker.process.pid) == "T"


def state_of(pid: int) -> str:
    """The letter of a process's state: T if it is stopped, empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def send(worker: WorkerProcess, number: signal.Signals) -> None:
    """Send a signal to the worker."""
    assert worker.process is not None
    os.kill(worker.process.pid, number)


Fault = Callable[[Any], None]
"""A function that makes a fault happen to its kind of `Rig`, and waits until that has recovered."""
