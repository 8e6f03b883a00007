"""The Prometheus metrics of `ouzel learner`: those of the model, which its trainer reports."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector, disable_created_metrics

from streams.observing.metrics import BUILD
from streams.observing.model_metrics import ModelMetrics
from streams.observing.telemetry import build_of
from streams.settings import Settings

UNITS = {"ouzel_learner_ready": "0 or 1"}
"""The units of metrics whose names do not end in one, beside those of the worker."""


class LearnerMetrics:
    """The metrics that only this process has."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.ready = Gauge("ouzel_learner_ready", "1 while this process trains or stands by.", registry=registry)


class LearnerTelemetry:
    """Every metric of the learner, in a registry of its own."""

    def __init__(self, settings: Settings) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        build = Gauge("ouzel_build_info", "Version and configuration of this learner.", BUILD, registry=self.registry)
        build.labels(*build_of(settings)).set(1)
        self.ready = LearnerMetrics(self.registry).ready
        self.model = ModelMetrics(self.registry)
