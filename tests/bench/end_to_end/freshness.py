"""How old recommendations are when they arrive at a consumer, at several rates."""

from __future__ import annotations

from typing import Any

from bench.end_to_end.bench import OWN_ITEMS, Bench, say
from bench.end_to_end.runs import Offer, run

RATES = (100.0, 500.0, 1_000.0, 2_000.0)
OF_MAXIMUM = 0.8
SECONDS = 72.0
"""The first sixth warms up, so that a minute is judged."""
WARM_RATE, WARM_SECONDS = 1_000.0, 30.0
"""What is offered before all that, and not judged.

A broker that has just started takes several times the CPU per event, until Java has compiled it.
"""


def freshness(bench: Bench, *, serve: bool = False, rates: tuple[float, ...] = ()) -> list[dict[str, Any]]:
    """Measure one worker at each rate in turn, on the same topics; the model goes on learning.

    With ``serve``, `ouzel serve` runs beside it. The highest rate is that of `throughput`, if it
    was measured before.
    """
    catalogue, measured = bench.catalogue(OWN_ITEMS), list[dict[str, Any]]()
    with bench.deployment(catalogue, serve=serve) as deployment:
        deployment.start()
        first = round(WARM_RATE * min(WARM_SECONDS, bench.seconds(SECONDS)))
        run(deployment, Offer(catalogue.path, 0, first, WARM_RATE))
        deployment.settle()
        for rate in rates or (*RATES, *_high(bench)):
            offer = Offer(catalogue.path, first, round(rate * bench.seconds(SECONDS)), rate)
            if first + offer.count > len(catalogue):
                say(f"  {rate:.0f} events/s: skipped, because the events are used up")
                continue
            outcome = run(deployment, offer)
            deployment.settle()
            first += offer.count
            offline = outcome.offline(catalogue.places(first))
            measured.append(outcome.figures() | {"offline_recall": offline})
            say(f"freshness at {rate:.0f} events/s: {_in_words(measured[-1])}")
    return measured


def beside_serve(bench: Bench) -> list[dict[str, Any]]:
    """Measure 1,000 events/s with `ouzel serve` beside the worker."""
    return freshness(bench, serve=True, rates=(1_000.0,))


def _high(bench: Bench) -> tuple[float, ...]:
    """80 % of the highest rate that one worker sustains, if it was measured."""
    found = [one["sustained"] for one in bench.results.get("throughput", ()) if one["workers"] == 1 and one["items"] < OWN_ITEMS]
    return (float(round(OF_MAXIMUM * found[0])),) if found and found[0] else ()


def _in_words(measured: dict[str, Any]) -> str:
    cpu = ", ".join(f"{part} {took:.0f}" for part, took in measured["cpu_us"].items())
    return f"p50 {measured['p50_ms']:.1f} ms, p99 {measured['p99_ms']:.1f} ms, recall {measured['recall']:.3f}; CPU us: {cpu}"
