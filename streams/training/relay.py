"""The metrics of the trainer, which the process that started it shows with its own.

The trainer has no endpoint: it counts in a registry of its own, and reports the values.
"""

from __future__ import annotations

import math
import resource

from prometheus_client import Counter, Gauge

from models.recommender import Recommender
from streams.observing.memory import resident_bytes
from streams.observing.model_metrics import ModelMetrics
from streams.training.channel import Report

TOTALS = ("learned", "thinned", "rollbacks", "updates", "update_bytes", "trainer_cpu")
"""Counters that the trainer reports, by their attributes in `ModelMetrics`."""
LEVELS = (
    *("trainer_up", "learner_lag", "training_share", "trainer_memory", "loss", "gradient_norm", "skipped_steps"),
    *("snapshot_time", "snapshot_bytes", "snapshot_seconds"),
)
"""Gauges that the trainer reports."""


def report_of(metrics: ModelMetrics, step_seconds: list[float]) -> Report:
    """Return the report of a trainer with these metrics."""
    levels = {name: _value(getattr(metrics, name)) for name in LEVELS}
    finite = {name: value if math.isfinite(value) else None for name, value in levels.items()}
    return Report({name: _value(getattr(metrics, name)) for name in TOTALS}, finite, step_seconds)


def measure(metrics: ModelMetrics, model: Recommender | None, lag: int) -> None:
    """Set the metrics of a trainer at work that no step sets."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metrics.trainer_cpu.inc(usage.ru_utime + usage.ru_stime - _value(metrics.trainer_cpu))
    metrics.trainer_memory.set(_resident())
    metrics.learner_lag.set(lag)
    metrics.trainer_up.set(1)
    if model is not None:
        metrics.loss.set(model.loss)
        metrics.gradient_norm.set(model.gradient_norm)
        metrics.skipped_steps.set(model.skipped_steps)


class Relay:
    """Shows the reports of one trainer after the other. Counters continue when a new one begins."""

    def __init__(self, metrics: ModelMetrics) -> None:
        self._metrics, self._learning = metrics, metrics.busy.labels("learn")
        self._last: dict[str, float] = {}

    def begin(self) -> None:
        """A new trainer begins: it counts from 0."""
        self._last = {}

    def take(self, report: Report) -> None:
        """Show a report. One of a trainer that has no model yet is empty."""
        for name in TOTALS:
            counter: Counter = getattr(self._metrics, name)
            total = report.totals.get(name, self._last.get(name, 0.0))
            counter.inc(max(total - self._last.get(name, 0.0), 0.0))
            self._last[name] = total
        for name in report.levels.keys() & set(LEVELS):
            gauge: Gauge = getattr(self._metrics, name)
            level = report.levels[name]
            gauge.set(math.nan if level is None else level)
        for seconds in report.step_seconds:
            self._metrics.step_seconds.observe(seconds)
            self._learning.inc(seconds)

    def end(self) -> None:
        """The trainer has ended: what it measured of itself is gone."""
        for gauge in (self._metrics.trainer_up, self._metrics.learner_lag, self._metrics.trainer_memory):
            gauge.set(0)


def _value(metric: Counter | Gauge) -> float:
    """The value of a metric without labels."""
    (family,) = metric.collect()
    return next(sample.value for sample in family.samples if not sample.name.endswith("_created"))


def _resident() -> float:
    """The memory of this process in bytes, now."""
    resident = resident_bytes()
    if resident is None:  # not Linux: the highest so far
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return resident
