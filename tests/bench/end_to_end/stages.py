"""What the workers' own metrics say about a run, between two scrapes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

Scrape = Mapping[str, float]
"""Samples by name and labels: ``name|label=value``."""
TIMES = ("ouzel_stage_seconds_sum", "ouzel_delivery_seconds_sum", "ouzel_model_busy_seconds_total")
"""Durations that add up, by a label: the stages of units, the parts of a delivery, model work."""


def sum_of(scrapes: Mapping[str, Scrape]) -> dict[str, float]:
    """The sums of the samples of several workers."""
    total = dict[str, float]()
    for scrape in scrapes.values():
        for name, value in scrape.items():
            total[name] = total.get(name, 0.0) + value
    return total


def breakdown(before: Scrape, after: Scrape) -> dict[str, float]:
    """Microseconds per event of each stage, from the metrics in `TIMES`.

    Names are the label's: "step", "deliver outputs", "model rank". Metrics that the workers lack
    are left out.
    """
    events = _events(after) - _events(before)
    found = dict[str, float]()
    for name, value in after.items():
        family, _, label = name.partition("|")
        if family in TIMES and events > 0:
            prefix = {"ouzel_delivery_seconds_sum": "deliver ", "ouzel_model_busy_seconds_total": "model "}.get(family, "")
            found[prefix + label.partition("=")[2]] = (value - before.get(name, 0.0)) / events * 1e6
    return found


def events_per_unit(before: Scrape, after: Scrape) -> float:
    """The mean number of events in a unit of work."""
    units = _delta(before, after, "ouzel_unit_size_count")
    return _delta(before, after, "ouzel_unit_size_sum") / units if units else 0.0


def recall_of(scrape: Scrape) -> float | None:
    """Recall@20 of the model as the workers count it since their start; ``None`` without tests."""
    tests = scrape.get("ouzel_prequential_tests_total|method=model", 0.0)
    return scrape.get("ouzel_prequential_hits_total|k=20|method=model", 0.0) / tests if tests else None


def done(scrape: Scrape) -> int:
    """The number of events that the workers have finished, of any outcome."""
    return round(_events(scrape))


def _events(scrape: Scrape) -> float:
    return sum(value for name, value in scrape.items() if name.startswith("ouzel_events_total"))


def _delta(before: Scrape, after: Scrape, name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)
