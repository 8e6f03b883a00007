"""The cost of serving, in three parts.

1. `ouzel serve` with 100,000 cached users, against a bare starlette handler with the same bytes.
2. `ouzel serve` beside a worker at 500 events/s on the same machine.
3. The time from an event by HTTP to its fresh ranking.

Needs KAFKA_HOME. The load of the first part comes from wrk if it is installed, else from Python.
USERS, ROUNDS and SECONDS are settable.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
from bench.load import Took, closed, get, paced, post
from kafka import KafkaProducer
from support.processes.running import WorkerProcess, environment, free_port, fresh_settings, wait_until
from support.processes.serve_process import ServeProcess

from serving.demo.brokers import ApacheBroker
from serving.demo.processes import Child
from streams.events.records import RankedItem, Recommendation
from streams.kafka.topics import create_topics
from streams.settings import Settings

USERS = int(os.environ.get("USERS", "100000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = int(os.environ.get("SECONDS", "5"))
CONNECTIONS = 16
BESIDE_RATES = (250, 500, 1000)
EVENTS_PER_S = 500
CLICKS, CLICKS_PER_S = 2000, 50
HERE = Path(__file__).parent
SCRIPT = """
math.randomseed(tonumber(os.getenv("SEED")))
request = function() return wrk.format("GET", "/v1/recommendations/user-" .. math.random(0, %d)) end
"""


def publish_rankings(settings: Settings, users: int) -> None:
    """Publish a ranking of 50 items for each user, as a worker would."""
    rng = random.Random(0)
    producer = KafkaProducer(bootstrap_servers=settings.broker, linger_ms=20, batch_size=1 << 18)
    now = int(time.time() * 1000)
    for number in range(users):
        user, partition = f"user-{number}", number % settings.partitions
        items = [
            RankedItem(f"p{rng.randrange(50_000):05d}", rng.random() * 9, rank, "cooccurrence", f"p{rng.randrange(50_000):05d}")
            for rank in range(1, 51)
        ]
        recommendation = Recommendation(
            recommendation_id=f"{settings.topic('events')}-{partition}-{number}", user_id=user, session_id=None, generated_at=now,
            trigger_event_id=f"e{number}", trigger_offset=number, model_version=1, strategy="hybrid",
            prefix=[f"p{rng.randrange(50_000):05d}" for _ in range(10)], items=items, took_ms=3.2,
        )  # fmt: skip
        topic = settings.topic("recommendations")
        producer.send(topic, key=user.encode(), value=msgspec.json.encode(recommendation), partition=partition)
    producer.close()


def wrk(port: int, script: Path, seed: int) -> Took:
    """Run one round with wrk.

    wrk reports only percentiles of the latencies, so the result has made-up latencies with the same
    percentiles at .5, .9 and .99.
    """
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", "-s", str(script), f"http://127.0.0.1:{port}"]
    output = subprocess.run(command, env={**os.environ, "SEED": str(seed)}, capture_output=True, text=True, check=True).stdout
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    at = {int(p): float(value) * unit[u] for p, value, u in re.findall(r"(\d+)%\s+([\d.]+)(us|ms|s)\n", output)}
    count, seconds = re.findall(r"(\d+) requests in ([\d.]+)s", output)[0]
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    latencies = [at[50]] * 50 + [at[90]] * 40 + [at[99]] * 10
    return Took(int(count), float(seconds), latencies, int(failed[1]) if failed else 0)


def side_by_side(serve: ServeProcess, folder: Path) -> None:
    """Compare with the bare handler, in turns, so that noise of the machine affects both alike."""
    body, script, port = folder / "body.json", folder / "users.lua", free_port()
    body.write_bytes(json.dumps(serve.call("GET", "/v1/recommendations/user-1").body, separators=(",", ":")).encode())
    script.write_text(SCRIPT % (USERS - 1))
    by_wrk = shutil.which("wrk") is not None
    results: dict[str, list[Took]] = {"bare": [], "ouzel": []}
    with subprocess.Popen([sys.executable, str(HERE / "bare_http.py"), str(port), str(body)]) as bare:
        try:
            time.sleep(3)
            for number in range(ROUNDS):
                for name, at in (("bare", port), ("ouzel", serve.port)):
                    took = wrk(at, script, number) if by_wrk else closed(at, users(number), SECONDS, CONNECTIONS)
                    results[name].append(took)
                    print(f"  {name}: {took.rate:,.0f} requests/s, {percentiles(took)}", flush=True)
        finally:
            bare.terminate()
    assert not any(took.failed for rounds in results.values() for took in rounds), "some requests failed"
    rate = {name: statistics.median(took.rate for took in rounds) for name, rounds in results.items()}
    tail = {name: statistics.median(took.percentile(0.99) for took in rounds) for name, rounds in results.items()}
    client = "wrk" if by_wrk else "Python"
    print(f"GET, {USERS:,} cached users, {client}, {CONNECTIONS} connections, median of {ROUNDS} rounds of {SECONDS} s in turns:")
    for name in results:
        print(f"  {name}: {rate[name]:,.0f} requests/s, p99 {tail[name]:.2f} ms")
    rates, tails = rate["ouzel"] / rate["bare"], tail["ouzel"] / tail["bare"]
    print(f"  ouzel to bare: rate {rates:.2f} (target: at least 0.6), p99 {tails:.2f} (target: at most 2)")


def users(seed: int) -> Callable[[], bytes]:
    """A function that makes a request for the ranking of a random user."""
    rng = random.Random(seed)
    return lambda: get(f"/v1/recommendations/user-{rng.randrange(USERS)}")


def percentiles(took: Took) -> str:
    """Three percentiles, to print."""
    return ", ".join(f"p{share * 100:.0f} {took.percentile(share):.1f}" for share in (0.5, 0.9, 0.99)) + " ms"


def beside_a_worker(settings: Settings, folder: Path, stack: ExitStack) -> None:
    """Measure beside a worker with the hybrid at 500 events/s on the same machine.

    First rankings are requested at fixed rates, then clicks are sent and wait for their rankings.
    """
    worker, serve = WorkerProcess(settings, folder / "worker.log"), ServeProcess(settings, folder / "beside.log")
    for process in (worker, serve):
        process.start()
        stack.callback(process.kill)
    worker.wait_ready(180)
    serve.wait_ready()
    simulator = [sys.executable, "-m", "serving.cli", "simulate", "--rate", str(EVENTS_PER_S)]
    source = stack.enter_context(Child("simulator", simulator, folder / "simulator.log", environment(settings)))
    wait_until(lambda: serve.metrics().get("ouzel_serve_cached_users", 0) > 300, "rankings of the simulator's shoppers")
    time.sleep(10)
    for rate in BESIDE_RATES:
        before, began = worker.done(), time.monotonic()
        took = paced(serve.port, lambda n: get(f"/v1/recommendations/shopper-{n % 300}"), rate * 20, rate)
        events = (worker.done() - before) / (time.monotonic() - began)
        result = f"{took.rate:.0f}/s, {percentiles(took)}" + (f", {took.failed} failed" if took.failed else "")
        print(f"GET at {rate}/s beside a worker at {events:.0f} events/s: {result}", flush=True)
    clicks(serve, f"beside {EVENTS_PER_S} events/s")
    source.stop()
    time.sleep(5)
    clicks(serve, "with nothing beside")


def clicks(serve: ServeProcess, beside: str) -> None:
    """Measure the time from an event by HTTP to its fresh ranking."""
    waited: list[str] = []
    took = paced(serve.port, click, CLICKS, CLICKS_PER_S, lambda body: waited.append(json.loads(body)["waited"]))
    fresh = waited.count("fresh")
    result = f"{percentiles(took)}; {fresh} of them fresh"
    print(f"from an event by HTTP to its fresh ranking, {CLICKS} clicks at {CLICKS_PER_S}/s {beside}: {result}", flush=True)


def click(number: int) -> bytes:
    """The request of a click: of one of 200 users, on one of the simulator's items."""
    event = {"user_id": f"clicker-{number % 200}", "item_id": f"p{number * 7919 % 500:05d}"}
    return post("/v1/events?wait_ms=1000", json.dumps(event).encode())


def main() -> None:
    """Run the three parts and print their results."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        sys.exit("KAFKA_HOME is not set: bench-serving needs a folder with Apache Kafka")
    with ApacheBroker(Path(home)) as broker, tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        settings = fresh_settings(broker.bootstrap, folder)
        create_topics(settings)
        publish_rankings(settings, USERS)
        serve = ServeProcess(settings, folder / "serve.log", OUZEL_SERVE_RANKINGS=str(USERS))
        began = time.monotonic()
        serve.start()
        stack.callback(serve.kill)
        serve.wait_ready(300)
        metrics = serve.metrics()
        assert metrics["ouzel_serve_cached_users"] == USERS, metrics
        took, memory = time.monotonic() - began, metrics["process_resident_memory_bytes"] / 1e6
        print(f"ready with {USERS:,} rankings {took:.1f} s after the start, {memory:.0f} MB resident", flush=True)
        side_by_side(serve, folder)
        serve.stop()
        settings = fresh_settings(broker.bootstrap, folder, model="hybrid", data_dir=folder / "beside")
        create_topics(settings)
        beside_a_worker(settings, folder, stack)


if __name__ == "__main__":
    main()
