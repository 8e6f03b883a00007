"""The highest rate at which lag does not grow and the rankings stay as good as without lag."""

from __future__ import annotations

from typing import Any

from bench.end_to_end.backlog import catch_up
from bench.end_to_end.bench import Bench, Catalogue, say
from bench.end_to_end.runs import Offer, Outcome, run
from bench.end_to_end.search import Tried, best, next_rate, rounded

SECONDS = 72.0
"""The first sixth warms up, so that a minute is judged."""
STEPS = 5
LOW, HIGH = 0.2, 1.1
"""The search is between these multiples of the rate at which a backlog is worked off."""
PROBE = 40_000
FEWEST = 5_000


def throughput(bench: Bench) -> list[dict[str, Any]]:
    """Measure each size of the catalogue with each number of workers."""
    return [_one(bench, bench.catalogue(items), workers) for items, workers in bench.combinations()]


def _one(bench: Bench, catalogue: Catalogue, workers: int) -> dict[str, Any]:
    probe = Offer(catalogue.path, 0, max(bench.times(PROBE), FEWEST), 0.0)
    with bench.deployment(catalogue, workers=workers) as deployment:
        backlog = catch_up(deployment, probe)
    say(f"throughput, {catalogue.items} items, {workers} workers: a backlog at {backlog.rate:.0f} events/s")
    low, high = backlog.rate * LOW, min(backlog.rate * HIGH, len(catalogue) / bench.seconds(SECONDS))
    tried, steps = list[Tried](), list[dict[str, Any]]()
    while (rate := next_rate(tried, low, high, bench.times(STEPS))) is not None:
        outcome = _at(bench, catalogue, workers, rate)
        places = catalogue.places(outcome.offer.count)
        verdict, offline = outcome.verdict(places), outcome.offline(places)
        tried.append(Tried(rate, verdict.sustained))
        steps.append(outcome.figures() | {"offline_recall": offline, "sustained": verdict.sustained, "reasons": verdict.reasons})
        say(f"  {rate:.0f} events/s: {'sustained' if verdict.sustained else '; '.join(verdict.reasons)}")
    return {
        "items": catalogue.items,
        "workers": workers,
        "backlog": backlog.figures(),
        "sustained": best(tried),
        "steps": steps,
    }


def _at(bench: Bench, catalogue: Catalogue, workers: int, rate: float) -> Outcome:
    """One rate, on new topics."""
    with bench.deployment(catalogue, workers=workers) as deployment:
        deployment.start()
        return run(deployment, Offer(catalogue.path, 0, round(rate * bench.seconds(SECONDS)), rounded(rate)))
