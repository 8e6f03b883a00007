"""Reads one worker's metrics from its Prometheus endpoint, for the demo."""

from __future__ import annotations

import math
import urllib.request
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

REPLAYED = "replayed"
NOT_A_WORKER = (OSError, ValueError, LookupError, ArithmeticError, TypeError, HTTPException)
"""What a scrape may raise: whatever listens at an address need not be a worker."""


@dataclass(frozen=True)
class WorkerMetrics:
    """The figures of one scrape. Counters start with the worker. ``None`` is not measured yet."""

    ready: bool = False
    trains: bool = False
    """Whether its trainer has a model and learns."""
    events: dict[str, int] = field(default_factory=dict)
    interactions: int = 0
    transitions: int = 0
    recommendations: int = 0
    dead_letters: int = 0
    recall: float | None = None
    mrr: float | None = None
    popularity_recall: float | None = None
    popularity_mrr: float | None = None
    lag: int | None = None

    @property
    def done(self) -> int:
        """Records of the events topic that were processed, each counted once."""
        return sum(count for outcome, count in self.events.items() if outcome != REPLAYED)


def parse(text: str) -> WorkerMetrics:
    """Parse the text of the endpoint."""
    samples: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name].append((sample.labels, sample.value))

    def total(name: str) -> int:
        return int(sum(value for _, value in samples[name]))

    def accuracy(name: str, method: str) -> float | None:
        for labels, value in samples[name]:
            if labels.get("k") == "20" and labels.get("method") == method and math.isfinite(value):
                return value
        return None

    events: Counter[str] = Counter()
    for labels, value in samples["ouzel_events_total"]:
        events[labels["outcome"]] += int(value)
    return WorkerMetrics(
        ready=total("ouzel_ready") > 0,
        trains=total("ouzel_trainer_up") > 0,
        events=events,
        interactions=total("ouzel_interactions_total"),
        transitions=total("ouzel_transitions_total"),
        recommendations=total("ouzel_recommendations_total"),
        dead_letters=total("ouzel_dead_letters_total"),
        recall=accuracy("ouzel_prequential_recall", "model"),
        mrr=accuracy("ouzel_prequential_mrr", "model"),
        popularity_recall=accuracy("ouzel_prequential_recall", "popularity"),
        popularity_mrr=accuracy("ouzel_prequential_mrr", "popularity"),
        lag=total("ouzel_consumer_lag") if samples["ouzel_consumer_lag"] else None,
    )


def scrape(port: int, timeout_s: float = 2.0) -> WorkerMetrics | None:
    """Scrape a worker on this machine. Return ``None`` if none answers there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=timeout_s) as answer:
            text = answer.read().decode()
        return parse(text)
    except NOT_A_WORKER:
        return None
