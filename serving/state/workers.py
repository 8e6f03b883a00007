"""What the workers say of themselves, read from their Prometheus endpoints and put together for the page.

The names of their metrics stand here and nowhere else in serving but `worker_metrics`.
"""

from __future__ import annotations

import asyncio
import math
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from http.client import HTTPException

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from streams.settings import Settings

EVERY_S = 2.0
TIMEOUT_S = 1.5
MOST_BYTES = 2_000_000
K = "20"
READY, LAG, LEARNER, LEARNER_LAG = "ouzel_ready", "ouzel_consumer_lag", "ouzel_learner", "ouzel_learner_lag"
DEAD_LETTERS, LOSS = "ouzel_dead_letters_total", "ouzel_loss"
RECALL, MRR, TESTS = "ouzel_prequential_recall", "ouzel_prequential_mrr", "ouzel_prequential_tests_total"

Samples = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]


class Accuracy(msgspec.Struct):
    """Prequential Recall@20 and MRR@20 of a method, live."""

    method: str
    recall: float
    mrr: float


class WorkerCounts(msgspec.Struct):
    """How many workers were asked, have answered, and process events."""

    asked: int
    answered: int = 0
    ready: int = 0


class WorkersTold(msgspec.Struct):
    """What those that answered say together; ``None`` where none says anything."""

    workers: WorkerCounts
    lag: int | None = None
    learner_lag: int | None = None
    dead_letters: int | None = None
    loss: float | None = None
    tests: int = 0
    accuracy: list[Accuracy] = []


class Workers:
    """Asks the workers every other second. ``told`` is the latest."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self.told = WorkersTold(WorkerCounts(len(addresses)))

    async def run(self) -> None:
        """Ask for ever."""
        while self._addresses:
            answers = await asyncio.gather(*(asyncio.to_thread(fetch, address) for address in self._addresses))
            self.told = together([answer for answer in answers if answer is not None], len(self._addresses))
            await asyncio.sleep(EVERY_S)


def addresses(settings: Settings) -> list[str]:
    """Where the workers' metrics are: by the settings, or where a worker on this machine has them."""
    if settings.serve_worker_metrics is not None:
        return settings.serve_worker_metrics
    return [f"127.0.0.1:{settings.metrics_port}"] if settings.metrics_port else []


def fetch(address: str) -> Samples | None:
    """The samples of a worker at host:port; ``None`` while it does not answer, or not in Prometheus's words."""
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=TIMEOUT_S) as answer:
            text = answer.read(MOST_BYTES).decode()
        samples: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples[sample.name].append((sample.labels, sample.value))
    except (OSError, ValueError, HTTPException):
        return None
    return samples


def together(answers: Sequence[Samples], asked: int) -> WorkersTold:
    """Sums over the workers; accuracies weighted by their tests; the loss of the one that learns."""

    def total(name: str) -> int | None:
        values = [value for answer in answers for _, value in answer.get(name, ())]
        return int(sum(values)) if values else None

    def one(answer: Samples, name: str) -> float:
        return next((value for _, value in answer.get(name, ())), 0.0)

    told = WorkersTold(WorkerCounts(asked, len(answers), sum(one(answer, READY) > 0 for answer in answers)))
    told.lag = total(LAG)
    told.dead_letters = (total(DEAD_LETTERS) or 0) if answers else None  # before the first there is no sample
    told.tests = int(sum(map(tested, answers)))
    for answer in answers:
        if one(answer, LEARNER) > 0 or len(answers) == 1:
            loss = one(answer, LOSS)
            told.loss = loss if math.isfinite(loss) and LOSS in answer else None
            told.learner_lag = int(one(answer, LEARNER_LAG))
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for answer in answers:
        weight = tested(answer)
        for place, name in enumerate((RECALL, MRR)):
            for labels, value in answer.get(name, ()):
                if labels.get("k") == K and math.isfinite(value) and weight:
                    sums[labels["method"]][place] += value * weight
                    sums[labels["method"]][2] += weight / 2
    told.accuracy = [Accuracy(method, recall / weight, mrr / weight) for method, (recall, mrr, weight) in sums.items()]
    return told


def tested(answer: Samples) -> float:
    """A worker's tests: every one is of the model."""
    return next((value for labels, value in answer.get(TESTS, ()) if labels.get("method") == "model"), 0.0)
