"""The soak of `ouzel serve`: hostile connections of every kind beside honest requests.

``make soak-edge`` on an Apache Kafka (KAFKA_HOME). SECONDS, HOSTILE and RATE are settable.
It measures the honest requests alone, then beside the attack, and the memory before, during and
after. It ends with exit code 1 if a bound is broken.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.load import Took, get, paced
from bench.serving import publish_rankings
from support.processes.running import fresh_settings
from support.processes.serve_process import ServeProcess

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics

SECONDS = int(os.environ.get("SECONDS", "300"))
HOSTILE = int(os.environ.get("HOSTILE", "200"))
RATE = int(os.environ.get("RATE", "200"))
ALONE_S, AFTER_S, CHECK_EVERY_S = 30, 20, 0.25
MOST_P99_MS, MOST_MEMORY_MB, MOST_KEPT_MB = 20.0, 100.0, 50.0
USERS = 1000


class Watched(NamedTuple):
    """What the health checks of one phase saw."""

    checks: int
    failed: int
    slowest_ms: float
    most_memory_mb: float


class Watch:
    """Checks a server's health and its memory until it is stopped.

    Each health check is a connection of its own.
    """

    def __init__(self, serve: ServeProcess) -> None:
        self._serve, self._stop = serve, threading.Event()
        self._seen = Watched(0, 0, 0.0, 0.0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(CHECK_EVERY_S):
            began = time.perf_counter()
            try:
                good = self._serve.call("GET", "/health/live", timeout_s=2.0).status == 200
            except OSError:
                good = False
            seen, took = self._seen, (time.perf_counter() - began) * 1000
            self._seen = Watched(
                seen.checks + 1,
                seen.failed + (not good),
                max(seen.slowest_ms, took),
                max(seen.most_memory_mb, self._serve.memory_mb()),
            )

    def stop(self) -> Watched:
        """Stop, and return what was seen."""
        self._stop.set()
        self._thread.join()
        return self._seen


def measure(name: str, serve: ServeProcess, seconds: float) -> tuple[Took, Watched]:
    """Send honest requests for some seconds, and watch the server."""
    watch = Watch(serve)
    took = paced(serve.port, lambda number: get(f"/v1/recommendations/user-{number % USERS}"), int(seconds * RATE), RATE)
    seen = watch.stop()
    print(
        f"{name}: {took.requests} honest requests, {took.failed} failed, p50 {took.percentile(0.5):.1f} ms, "
        f"p99 {took.percentile(0.99):.1f} ms; {seen.checks} health checks, {seen.failed} unanswered, slowest "
        f"{seen.slowest_ms:.0f} ms; at most {seen.most_memory_mb:.0f} MB",
        flush=True,
    )
    return took, seen


def main() -> None:
    """Run the soak."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        sys.exit("KAFKA_HOME is not set: soak-edge needs a folder with Apache Kafka")
    with ApacheBroker(Path(home)) as broker, tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        settings = fresh_settings(broker.bootstrap, folder)
        create_topics(settings)
        publish_rankings(settings, USERS)
        serve = ServeProcess(settings, folder / "serve.log")
        serve.start()
        stack.callback(serve.kill)
        serve.wait_ready()
        measure("to warm up", serve, 5)
        alone, _ = measure("alone", serve, ALONE_S)
        before = serve.memory_mb()
        # Real attackers have a CPU of their own: theirs must not take that of the honest client.
        command = ["nice", "-n", "10", sys.executable, "-m", "support.hostile", str(serve.port), str(HOSTILE)]
        hostile = stack.enter_context(subprocess.Popen(command, cwd=Path(__file__).parents[1]))
        stack.callback(hostile.kill)
        time.sleep(2)
        beside, seen = measure(f"beside {HOSTILE} hostile connections", serve, SECONDS)
        cut = {
            key.partition("reason=")[2]: int(count) for key, count in serve.metrics().items() if "connections_cut_total" in key
        }
        print("connections that the server ended:", ", ".join(f"{reason} {count}" for reason, count in sorted(cut.items())))
        assert hostile.poll() is None, "the attack ended by itself"
        hostile.kill()
        _, after = measure("after", serve, AFTER_S)
        more_ms = beside.percentile(0.99) - alone.percentile(0.99)
        more_mb, kept_mb = seen.most_memory_mb - before, serve.memory_mb() - before
        print(f"p99 {more_ms:+.1f} ms (at most {MOST_P99_MS:+.0f}); memory {more_mb:+.0f} MB (at most {MOST_MEMORY_MB:+.0f}),")
        print(f"after the attack {kept_mb:+.0f} MB (at most {MOST_KEPT_MB:+.0f})")
        good = more_ms <= MOST_P99_MS and more_mb <= MOST_MEMORY_MB and kept_mb <= MOST_KEPT_MB
        if not good or beside.failed or seen.failed or after.failed:
            sys.exit("a bound is broken")


if __name__ == "__main__":
    main()
