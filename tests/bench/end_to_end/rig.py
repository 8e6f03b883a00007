"""What a run needs: workers on topics of their own, the generator, and the consumer.

Every part is a process of its own. The rig finds processes by what they are: a worker is the
process that it has started, and whatever a worker starts is the trainer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from bench.accounts import TRAINER
from bench.cpu import descendants, resident_mb
from bench.end_to_end import consumer, generator
from support.processes.running import WorkerProcess, environment, fresh_settings, wait_until
from support.processes.serve_process import ServeProcess

from serving.demo.brokers import ApacheBroker
from serving.demo.tally import end_positions
from streams.kafka.topics import create_topics

READY_WITHIN_S, SETTLED_WITHIN_S, STOPPED_WITHIN_S = 180.0, 600.0, 30.0
PARTITIONS = 4
WRITTEN = ("events", "transitions", "recommendations")
Ends = dict[str, dict[int, int]]
"""The end of each partition, by topic without its prefix."""
ROOT = Path(__file__).parents[3]


class Deployment:
    """Workers, and a server if ``serve``, on topics of their own; a context manager.

    ``learned`` is the file of a model to start with. ``changes`` are settings of the workers.
    """

    def __init__(
        self, broker: ApacheBroker, folder: Path, *, workers: int = 1, learned: Path | None = None, serve: bool = False,
        **changes: object,
    ) -> None:  # fmt: skip
        self.broker, self.folder = broker, folder / uuid.uuid4().hex[:8]
        self.folder.mkdir()
        fields: dict[str, Any] = {"model": "hybrid", "session_timeout_s": 10.0, "partitions": PARTITIONS, **changes}
        self.settings = fresh_settings(broker.bootstrap, self.folder, **fields)
        self._count, self._learned_before, self._serve = workers, learned, serve
        self.workers: list[WorkerProcess] = []
        self.server: ServeProcess | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Deployment:
        create_topics(self.settings)
        if self._learned_before is not None:
            self._import(self._learned_before)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the processes, and return when the workers share the partitions and work."""
        self.launch()
        for worker in self.workers:
            worker.wait_ready(READY_WITHIN_S)
        if self.server is not None:
            self.server.wait_ready()
        wait_until(self._shared, "every worker has partitions", READY_WITHIN_S, every_s=0.5)

    def launch(self) -> None:
        """Start the processes."""
        for number in range(self._count):
            settings = self.settings.model_copy(update={"data_dir": self.folder / f"data-{number}"})
            worker = WorkerProcess(settings, self.folder / f"worker-{number}.log")
            self.workers.append(worker.start())
            self._stack.callback(worker.kill)
        if self._serve:
            self.server = ServeProcess(self.settings, self.folder / "serve.log")
            self.server.start()
            self._stack.callback(self.server.kill)

    def stop(self, *, wipe: bool = False) -> None:
        """Stop the workers. With ``wipe``, their disks are lost, too."""
        for worker in self.workers:
            worker.stop(STOPPED_WITHIN_S)
            if wipe:
                shutil.rmtree(worker.settings.data_dir, ignore_errors=True)
        self.workers.clear()

    def memory_mb(self) -> dict[str, float]:
        """The resident memory of the workers, and of what they have started."""
        workers = self.processes()["worker"]
        started = [pid for worker in workers for pid in descendants(worker)]
        return {"worker": sum(map(resident_mb, workers)), TRAINER: sum(map(resident_mb, started))}

    def disk_mb(self) -> float:
        """The size of the files in the data directories of the workers."""
        files = (path for worker in self.workers for path in worker.settings.data_dir.rglob("*") if path.is_file())
        return sum(path.stat().st_size for path in files) / 1e6

    def settle(self) -> None:
        """Wait until the model has learned everything."""
        wait_until(self._learned, "every transition learned", SETTLED_WITHIN_S, every_s=0.5)

    def check(self) -> None:
        """Fail, with the end of its log, if a worker has ended."""
        for worker in self.workers:
            assert worker.alive, worker.tail()

    def scrapes(self) -> dict[str, dict[str, float]]:
        """One scrape of each worker."""
        return {f"worker-{n}": worker.scraped() for n, worker in enumerate(self.workers)}

    def processes(self) -> dict[str, list[int]]:
        """The ids of the processes, by part."""
        assert self.broker.child is not None
        workers = [worker.process.pid for worker in self.workers if worker.process is not None]
        server = [self.server.process.pid] if self.server is not None and self.server.process is not None else []
        return {"worker": workers, "broker": [self.broker.child.pid]} | ({"serve": server} if server else {})

    def ends(self) -> Ends:
        """The ends of the topics now."""
        ends: Ends = {kind: {} for kind in WRITTEN}
        kinds = {self.settings.topic(kind): kind for kind in WRITTEN}
        for tp, end in end_positions(self.settings, WRITTEN).items():
            ends[kinds[tp.topic]][tp.partition] = end
        return ends

    def _shared(self) -> bool:
        self.check()
        return all(scrape.get("ouzel_assigned_partitions", 0) > 0 for scrape in self.scrapes().values())

    def _learned(self) -> bool:
        self.check()
        return not any(scrape.get("ouzel_learner_lag", 0) for scrape in self.scrapes().values())

    def _import(self, model: Path) -> None:
        command = [sys.executable, "-m", "serving.cli", "model", "import", str(model), "--force"]
        subprocess.run(command, env=environment(self.settings), check=True, capture_output=True)


class Part:
    """The generator or the consumer of one run, as a process; a context manager."""

    def __init__(self, module: str, order: msgspec.Struct, folder: Path, name: str) -> None:
        self._order, self._log = folder / f"{name}.json", folder / f"{name}.log"
        self._order.write_bytes(msgspec.json.encode(order))
        self._module = module

    def __enter__(self) -> Part:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(self._order)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True, env=_environment(),
            )  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_ready(self) -> None:
        """Wait until it says that it is ready."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready", self.tail()

    def begin(self, at: float) -> None:
        """Tell it when to begin, on the monotonic clock."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{at}\n")
        self.process.stdin.flush()

    @property
    def ended(self) -> bool:
        """Whether the process has ended. Its CPU time can still be read, until `wait`."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, timeout_s: float) -> None:
        """Wait until it has written its result."""
        assert self.process.wait(timeout_s) == 0, self.tail()

    def tail(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-4000:]


def generating(order: generator.Order, folder: Path, name: str) -> Part:
    """The generator of a run."""
    return Part("bench.end_to_end.generator", order, folder, f"{name}-generator")


def consuming(order: consumer.Order, folder: Path, name: str) -> Part:
    """The consumer of a run."""
    return Part("bench.end_to_end.consumer", order, folder, f"{name}-consumer")


def sleep_until(at: float, deployment: Deployment, every_s: float = 0.5) -> None:
    """Sleep until a time of the monotonic clock. Fails if a worker ends meanwhile."""
    while (left := at - time.monotonic()) > 0:
        deployment.check()
        time.sleep(min(left, every_s))


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT}", "OMP_NUM_THREADS": "1"}
