"""A worker as a process of its own, its settings, and a producer that awaits every confirmation."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

from aiokafka import AIOKafkaProducer
from kafka import KafkaProducer

from serving.demo.processes import free_ports
from streams.settings import Settings

SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(.)")


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0, every_s: float = 0.05) -> None:
    """Poll a condition until it is true. Fails, and says ``what``, if it does not become true."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"not within {timeout_s} s: {what}"
        time.sleep(every_s)


def free_port() -> int:
    """A port on loopback that is free now."""
    return free_ports(1)[0]


TESTS = Path(__file__).parents[2]
READY = {"worker": "ouzel_ready", "learner": "ouzel_learner_ready", "intake": "ouzel_intake_ready"}
"""The metric that is 1 while each command works."""


class EmbeddedAddress(str):
    """The address of an embedded broker, which has no idempotent producers."""


def fresh_settings(broker: str, directory: Path, **changes: object) -> Settings:
    """Settings with names of their own, so that tests do not share topics, groups or disks."""
    name = uuid.uuid4().hex[:8]
    fields: dict[str, object] = {
        "broker": broker,
        "topic_prefix": f"{name}.",
        "app_id": f"ouzel-{name}",
        "partitions": 4,
        "data_dir": directory / "data",
        "session_timeout_s": 3.0,
        "idempotent": not isinstance(broker, EmbeddedAddress),
        "model": "null",
    }
    return Settings(**(fields | changes))  # type: ignore[arg-type]


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with the settings that tests change as ``OUZEL_*`` variables."""
    return {
        **os.environ,
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
        "OUZEL_BROKER": settings.broker,
        "OUZEL_TOPIC_PREFIX": settings.topic_prefix,
        "OUZEL_APP_ID": settings.app_id,
        "OUZEL_EVENTS_TOPIC": settings.events_topic or "",
        "OUZEL_ITEMS_TOPIC": settings.items_topic or "",
        "OUZEL_TOPIC_NAMES": json.dumps(settings.topic_names),
        **({"OUZEL_PARTITIONS": str(settings.partitions)} if "partitions" in settings.model_fields_set else {}),
        "OUZEL_DATA_DIR": str(settings.data_dir),
        "OUZEL_SESSION_TIMEOUT_S": str(settings.session_timeout_s),
        "OUZEL_SESSION_TTL_S": str(settings.session_ttl_s),
        "OUZEL_MAX_POLL_RECORDS": str(settings.max_poll_records),
        "OUZEL_FIELD_MAPPING": json.dumps(settings.field_mapping),
        "OUZEL_IDEMPOTENT": str(settings.idempotent),
        "OUZEL_DELIVERY": settings.delivery,
        "OUZEL_MODEL": settings.model,
        "OUZEL_ENCODER": settings.encoder,
        "OUZEL_PUBLISHED": str(settings.published),
        "OUZEL_PROFILE": settings.profile,
        "OUZEL_SNAPSHOT_EVERY_S": str(settings.snapshot_every_s),
        "OUZEL_MODEL_UPDATES_MS": str(settings.model_updates_ms),
        "OUZEL_TRAINER": settings.trainer,
    }


def samples(text: str) -> dict[str, float]:
    """The samples of a scrape. A sample's name is followed by its labels: ``name|label=value``.

    The parser of prometheus-client takes ten times as long, and tests scrape twenty times a second.
    """
    found = {}
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            matched = SAMPLE.fullmatch(line)
            assert matched, line
            labels = sorted((name, ESCAPE.sub(_unescaped, value)) for name, value in LABEL.findall(matched[2] or ""))
            found[matched[1] + "".join(f"|{name}={value}" for name, value in labels)] = float(matched[3])
    return found


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] == "n" else escape[1]


class WorkerProcess:
    """`ouzel worker` as a process, or another ``command`` that runs until it is stopped.

    Its settings are in its environment, ``extra`` variables included, and its output goes to
    ``log``. ``module`` is the Python module to run.
    """

    def __init__(
        self, settings: Settings, log: Path, arguments: tuple[str, ...] = (), module: str = "serving.cli",
        command: str = "worker", **extra: str,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._name, self._command = command, [sys.executable, "-m", module, command, *arguments]
        self.port = free_port()
        self.log = log
        self._environment = {**environment(settings), "OUZEL_METRICS_PORT": str(self.port), **extra}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> WorkerProcess:
        """Start the process; `wait_ready` waits until it works."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=out, stderr=out)
        return self

    def metrics(self) -> dict[str, float]:
        """The `samples` of one scrape; empty if the endpoint does not answer within 2 s."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return samples(text)

    def scraped(self) -> dict[str, float]:
        """The samples of the first scrape that is answered; empty if the worker has ended.

        A busy worker may need more than one.
        """
        scrape: dict[str, float] = {}

        def answered() -> bool:
            scrape.update(self.metrics())
            return bool(scrape) or not self.alive

        wait_until(answered, "metrics")
        return scrape

    def done(self) -> float:
        """How many events it has finished since it started, of any outcome."""
        return sum(count for name, count in self.scraped().items() if name.startswith("ouzel_events_total"))

    def lag(self) -> float:
        """How many events of its partitions are not done."""
        return sum(left for name, left in self.scraped().items() if name.startswith("ouzel_consumer_lag"))

    def memory_mb(self) -> float:
        """Resident memory. Raises `OSError` or `IndexError` if the process has just ended."""
        assert self.process is not None
        return int(Path(f"/proc/{self.process.pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Wait until it processes events."""
        wait_until(self._ready_or_dead, "worker ready", timeout_s)
        assert self.alive, self.tail()

    def _ready_or_dead(self) -> bool:
        return not self.alive or self.ready

    @property
    def ready(self) -> bool:
        """Whether it says that it works."""
        return self.metrics().get(READY[self._name]) == 1

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 15.0) -> int:
        """Send SIGTERM, and return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


def produce(settings: Settings, records: Iterable[tuple[bytes | None, bytes | None]], topic: str = "events") -> int:
    """Send records to a topic and await every confirmation. Returns how many."""
    producer = KafkaProducer(bootstrap_servers=settings.broker, acks="all", linger_ms=5, max_request_size=20_000_000)
    futures = [producer.send(settings.topic(topic), key=key, value=value) for key, value in records]
    producer.flush()
    for future in futures:
        future.get(timeout=30)
    producer.close()
    return len(futures)


def produce_compressed(settings: Settings, records: Iterable[tuple[bytes, bytes]], codec: str) -> int:
    """Send records to the events as batches of this codec. Returns how many."""

    async def send() -> int:
        async with AIOKafkaProducer(bootstrap_servers=settings.broker, compression_type=codec, linger_ms=20) as producer:
            sent = [await producer.send(settings.topic("events"), value, key) for key, value in records]
            return len(await asyncio.gather(*sent))

    return asyncio.run(send())


def produce_nothing(settings: Settings, partition: int) -> None:
    """Send an event with neither key nor value, which kafka-python refuses to send."""

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=settings.broker) as producer:
            batch = producer.create_batch()
            batch.append(key=None, value=None, timestamp=None)
            await (await producer.send_batch(batch, settings.topic("events"), partition=partition))

    asyncio.run(send())
