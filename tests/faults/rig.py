"""A broker, workers, a steady load and a reader of what is published: where faults happen while events flow."""

from __future__ import annotations

import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from faults.cluster import Cluster
from faults.proxy import Proxy
from faults.traffic import Load, Tail
from kafka import KafkaConsumer, TopicPartition
from support.oracle import UNCOMPACTED
from support.running import WorkerProcess, free_port, fresh_settings, produce, wait_until

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics

DONE_WITHIN_S = 300.0
FRESH_WITHIN_S = 120.0


class Rig:
    """One fault's broker, workers and load; a context manager. ``scale`` shortens what repeats."""

    def __init__(
        self, home: Path, folder: Path, scale: float, *, workers: int = 2, rate: float = 800.0, delivery: str = "leased",
        proxied: bool = False, sabotage: str = "", **changes: object,
    ) -> None:  # fmt: skip
        self.folder, self.scale, self.rate, self.delivery = folder, scale, rate, delivery
        self.broker = ApacheBroker(home, UNCOMPACTED)
        self.cluster = Cluster(home) if changes.get("replication") else None
        self.proxy: Proxy | None = None
        if proxied:
            self.proxy = self._proxied()
        self._count, self._sabotage, self._changes = workers, sabotage, changes
        self.recoveries: list[float] = []
        self.notes: list[str] = []
        self._beside = 0
        self.workers: list[WorkerProcess] = []

    def __enter__(self) -> Rig:
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = self.broker if self.cluster is None else self.cluster
        whole.__enter__()
        fields: dict[str, Any] = {"session_timeout_s": 6.0, "delivery": self.delivery, **self._changes}
        self.settings = fresh_settings(whole.bootstrap, self.folder, **fields)
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
        self.load = Load(self.settings, self.rate)
        self.load.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self.workers:
            if worker.alive:
                assert worker.process is not None
                worker.process.send_signal(signal.SIGCONT)
                worker.kill()
        if self.proxy is not None and self.proxy.is_alive():
            self.proxy.stop()
        if self.cluster is not None:
            self.cluster.stop()
        self.broker.stop()

    def _proxied(self) -> Proxy:
        """A listener of the broker for the workers alone, advertised at a proxy."""
        behind, before = free_port(), free_port()
        plain, controller = f"127.0.0.1:{self.broker.port}", f"127.0.0.1:{self.broker.controller_port}"
        self.broker._overrides |= {
            "listeners": f"PLAINTEXT://{plain},PROXIED://127.0.0.1:{behind},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{plain},PROXIED://127.0.0.1:{before}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
        return Proxy(before, behind)

    def add_worker(self, sabotage: str = "") -> WorkerProcess:
        """One more, with a data directory of its own; ``sabotage``: see `saboteur`."""
        number = len(self.workers)
        changes: dict[str, object] = {"data_dir": self.folder / f"data-{number}" / "data"}
        if self.proxy is not None:
            changes["broker"] = f"127.0.0.1:{self.proxy.port}"
        settings = self.settings.model_copy(update=changes)
        module = "faults.saboteur" if sabotage else "serving.cli"
        worker = WorkerProcess(settings, self.folder / f"worker-{number}.log", module=module, SABOTAGE=sabotage)
        self.workers.append(worker.start())
        return worker

    def times(self, whole: int) -> range:
        """How often a fault is repeated at this scale."""
        return range(max(1, round(whole * self.scale)))

    def wait(self, seconds: float) -> None:
        """Let the load go on."""
        time.sleep(seconds)

    def events(self, whole: int) -> None:
        """Wait until so many events, at this scale, have been sent."""
        wanted = whole * self.scale
        wait_until(lambda: len(self.load.sent) >= wanted or self.load.error is not None, f"{wanted} events", 3600)

    def fresh_since(self, began: float) -> float:
        """Wait until every partition has a recommendation for an event sent after ``began``; notes and returns the seconds."""
        sent = self.load.sent

        def arrival(partition: int) -> float | None:
            found = (at for at, number in reversed(self.tail.seen[partition]) if at >= began and sent[number] >= began)
            return min(found, default=None)

        wait_until(lambda: all(arrival(number) is not None for number in self.tail.seen), "fresh again", FRESH_WITHIN_S)
        took = max(arrival(number) or 0.0 for number in self.tail.seen) - began
        self.recoveries.append(took)
        return took

    def produce(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Send events beside the load, as fast as it goes; returns how many."""
        sent = produce(self.settings, records)
        self._beside += sent
        return sent

    def restart(self, worker: WorkerProcess) -> None:
        """Start a worker that has ended, as a supervisor would."""
        assert not worker.alive
        worker.start()

    def keep_alive(self) -> None:
        """Start whoever has ended."""
        for worker in self.workers:
            if not worker.alive:
                self.restart(worker)

    def ready(self) -> None:
        """Until every worker processes events."""
        for worker in self.workers:
            wait_until(lambda worker=worker: self._revived(worker), "worker ready", 120, every_s=0.2)  # type: ignore[misc]

    def _revived(self, worker: WorkerProcess) -> bool:
        if not worker.alive:
            self.restart(worker)
        return worker.metrics().get("ouzel_ready") == 1

    def wipe(self, worker: WorkerProcess) -> None:
        """Delete a worker's disk."""
        shutil.rmtree(worker.settings.data_dir, ignore_errors=True)

    def committed(self) -> dict[int, int]:
        """What the group has committed, per partition of the events."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.broker, group_id=self.settings.app_id, enable_auto_commit=False)
        try:
            topic = self.settings.topic("events")
            return {n: consumer.committed(TopicPartition(topic, n)) or 0 for n in range(self.settings.partitions)}
        finally:
            consumer.close()

    def ends(self) -> dict[int, int]:
        """Where the events end, per partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.broker)
        try:
            topic = self.settings.topic("events")
            found = consumer.end_offsets([TopicPartition(topic, n) for n in range(self.settings.partitions)])
            return {tp.partition: end for tp, end in found.items()}
        finally:
            consumer.close()

    def finish(self, stuck_after_s: float = math.inf) -> int:
        """End the load, wait until all of it is done, stop the workers cleanly; returns the number of events.

        Commits that stand still for ``stuck_after_s`` are no error where that is given: they may be what is to be found.
        """
        events = self.load.finish() + self._beside
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
                self.notes.append(f"a worker ended with {worker.process.returncode if worker.process else None}")
        self.tail.stop()
        return events


def state_of(pid: int) -> str:
    """The letter of a process's state; T for stopped, empty for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def stopped(worker: WorkerProcess) -> bool:
    """Whether SIGSTOP holds it."""
    return worker.process is not None and state_of(worker.process.pid) == "T"


def send(worker: WorkerProcess, number: signal.Signals) -> None:
    """A signal."""
    assert worker.process is not None
    os.kill(worker.process.pid, number)


Fault = Callable[[Rig], None]
"""What happens to a rig."""
