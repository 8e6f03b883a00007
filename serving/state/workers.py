"""Reads the workers' metrics from their Prometheus endpoints and sums them up for the live page.

In serving, only this module and `worker_metrics` know the names of the workers' metrics.
"""

from __future__ import annotations

import asyncio
import math
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from prometheus_client.parser import text_string_to_metric_families

from serving.state.worker_health import WorkerHealth
from serving.state.worker_metrics import NOT_A_WORKER
from streams.settings import Settings

EVERY_S = 1.0
TIMEOUT_S = 1.5
MOST_BYTES = 2_000_000
K = "20"
READY, EVENTS, LAG, LEARNER, LEARNER_LAG = (
    "ouzel_ready",
    "ouzel_events_total",
    "ouzel_consumer_lag",
    "ouzel_learner",
    "ouzel_learner_lag",
)
DEAD_LETTERS, LOSS = "ouzel_dead_letters_total", "ouzel_loss"
RECALL, MRR, TESTS = "ouzel_prequential_recall", "ouzel_prequential_mrr", "ouzel_prequential_tests_total"
READ = (READY, EVENTS, LAG, LEARNER, LEARNER_LAG, DEAD_LETTERS, LOSS, RECALL, MRR, TESTS)

Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
"""The result of a scrape: labels and values, by the name of the sample."""


class Accuracy(msgspec.Struct):
    """How well one method ranks, measured live: each event is predicted before it is learned."""

    method: Annotated[str, Meta(description="`model` is what users get; the others are baselines on the same events.")]
    recall: Annotated[float, Meta(description="Recall@20: how often the next item was among the first 20.")]
    mrr: Annotated[float, Meta(description="MRR@20: the mean of 1/rank of the next item, 0 beyond rank 20.")]


class WorkerCounts(msgspec.Struct):
    """How many workers answer the server."""

    asked: Annotated[int, Meta(description="Workers that the server requests metrics from.")]
    answered: Annotated[int, Meta(description="Workers that answered.")] = 0
    ready: Annotated[int, Meta(description="Workers that process events.")] = 0


class WorkersSummary(msgspec.Struct):
    """The metrics of all workers that answered; ``None`` if no worker has the metric."""

    workers: WorkerCounts
    processed: int | None = None
    lag: int | None = None
    learner_lag: int | None = None
    dead_letters: int | None = None
    loss: float | None = None
    tests: int = 0
    accuracy: list[Accuracy] = []


class Workers:
    """Scrapes the workers every second; `latest` is the latest summary.

    The service runs `run` as a task; requests read `latest` and ask `health`. ``monitored`` says
    that the addresses were set, and are no default.
    """

    def __init__(self, addresses: Sequence[str], monitored: bool = True) -> None:
        self._addresses = addresses
        self.health = WorkerHealth(monitored and bool(addresses))
        self.latest = WorkersSummary(WorkerCounts(len(addresses)))

    async def run(self) -> None:
        """Scrape until cancelled. Returns immediately if there are no addresses."""
        while self._addresses:
            scrapes = await asyncio.gather(*(asyncio.to_thread(fetch, address) for address in self._addresses))
            latest = self.latest = summarize([scrape for scrape in scrapes if scrape is not None], len(self._addresses))
            self.health.scraped(latest.workers.answered, latest.workers.ready, latest.processed, latest.lag)
            await asyncio.sleep(EVERY_S)


def addresses(settings: Settings) -> list[str]:
    """Return the addresses of the workers' metrics. The default is a worker on this machine."""
    if settings.serve_worker_metrics is not None:
        return settings.serve_worker_metrics
    return [f"127.0.0.1:{settings.metrics_port}"] if settings.metrics_port else []


def fetch(address: str) -> Samples | None:
    """Return the samples of the worker at host:port.

    Returns ``None`` if the worker does not answer, or if the answer is not in Prometheus's format.
    Only the metrics that `summarize` uses are parsed, because parsing is slow. This call blocks, so
    it runs in a thread.
    """
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=TIMEOUT_S) as answer:
            text = answer.read(MOST_BYTES).decode()
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        lines = text.splitlines()
        if not any(line.startswith(READY) for line in lines):
            return None
        for family in text_string_to_metric_families("\n".join(line for line in lines if line.startswith(READ)) + "\n"):
            for sample in family.samples:
                samples[sample.name].append((sample.labels, sample.value))
    except NOT_A_WORKER:
        return None
    return samples


def summarize(scrapes: Sequence[Samples], asked: int) -> WorkersSummary:
    """Add up the counts, average the accuracies by number of tests, and take the learner's loss."""

    def total(name: str) -> int | None:
        values = [value for scrape in scrapes for _, value in scrape.get(name, ()) if math.isfinite(value)]
        return int(sum(values)) if values else None

    def one(scrape: Samples, name: str) -> float:
        return next((value for _, value in scrape.get(name, ())), 0.0)

    def count(scrape: Samples, name: str) -> int:
        return int(value) if math.isfinite(value := one(scrape, name)) else 0

    summary = WorkersSummary(WorkerCounts(asked, len(scrapes), sum(one(scrape, READY) > 0 for scrape in scrapes)))
    summary.processed, summary.lag = total(EVENTS), total(LAG)
    summary.dead_letters = (total(DEAD_LETTERS) or 0) if scrapes else None  # no sample means 0
    summary.tests = int(sum(map(tests_of, scrapes)))
    for scrape in scrapes:
        if one(scrape, LEARNER) > 0 or len(scrapes) == 1:
            loss = one(scrape, LOSS)
            summary.loss = loss if math.isfinite(loss) and LOSS in scrape else None
            summary.learner_lag = count(scrape, LEARNER_LAG)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for scrape in scrapes:
        weight = tests_of(scrape)
        for column, name in enumerate((RECALL, MRR)):
            for labels, value in scrape.get(name, ()):
                if labels.get("k") == K and (method := labels.get("method")) and math.isfinite(value) and weight:
                    sums[method][column] += value * weight
                    sums[method][2] += weight / 2  # recall adds one half, MRR the other
    summary.accuracy = [Accuracy(method, recall / weight, mrr / weight) for method, (recall, mrr, weight) in sums.items()]
    return summary


def tests_of(scrape: Samples) -> float:
    """Return how many rankings of its model a worker has evaluated."""
    tests = next((value for labels, value in scrape.get(TESTS, ()) if labels.get("method") == "model"), 0.0)
    return tests if math.isfinite(tests) else 0.0
