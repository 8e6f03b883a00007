"""One run: events at a rate through a deployment, and what came of them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench.accounts import Account, account, per_event, shares
from bench.end_to_end import consumer, generator, stages, windows
from bench.end_to_end.rig import Deployment, Ends, consuming, generating, sleep_until
from bench.end_to_end.windows import Part, Places, Seconds

BEGINS_AFTER_S, ANSWERS_WITHIN_S = 0.5, 120.0
WARM_SHARE = 6
"""A sixth of a run warms the processes up and is not judged."""


class Offer(NamedTuple):
    """``count`` events from index ``first`` on, at ``rate`` per second.

    The events are in the file ``events``. The consumer waits for ``drain_s`` after the last one.
    """

    events: Path
    first: int
    count: int
    rate: float
    drain_s: float = 10.0

    @property
    def seconds(self) -> float:
        """How long the events are offered."""
        return self.count / self.rate


@dataclass
class Outcome:
    """What came of an offer.

    ``due`` and ``arrived`` are on one clock. ``cpu`` is in microseconds per event and ``stages``,
    too, both over the judged ``part``. ``shares`` are of all cores. ``written`` counts the records
    of the topics.
    """

    offer: Offer
    part: Part
    due: Seconds
    arrived: Seconds
    place: Places
    late: Seconds
    repeated: int
    refused: int
    cpu: dict[str, float]
    shares: dict[str, float]
    stages: dict[str, float]
    events_per_unit: float
    written: dict[str, int]

    @property
    def missing(self) -> int:
        """Events without a recommendation when the consumer ended."""
        return int(np.isnan(self.arrived).sum())

    @property
    def judged(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which events are due in the judged part."""
        return self.part.of(self.due)

    @property
    def recall(self) -> float:
        """Recall@20 of the rankings of the judged events."""
        return windows.recall(self.place[self.judged])

    def offline(self, places: Places) -> float:
        """Recall@20 of the same tests without lag. ``places`` are of all events of the file."""
        mine = places[self.offer.first : self.offer.first + self.offer.count]
        return windows.recall(mine[self.judged & (self.place != windows.UNTESTED)])

    def verdict(self, places: Places) -> windows.Verdict:
        """Whether the rate is sustained."""
        late = windows.percentile(self.late[self.judged], 0.99)
        return windows.judge(self.growth, self.recall, self.offline(places), late, self.missing)

    @property
    def growth(self) -> float:
        """The share of the offered events by which lag grows."""
        return windows.growth(self.due, self.arrived, self.part)

    def figures(self) -> dict[str, Any]:
        """The figures of the report, as JSON."""
        fresh = windows.freshness(self.due, self.arrived, self.part)
        return {
            "rate": self.offer.rate,
            "seconds": round(self.part.end - self.part.begin, 1),
            "events": self.offer.count,
            "recommendations": self.offer.count - self.missing,
            "missing": self.missing,
            "repeated": self.repeated,
            "refused_batches": self.refused,
            "lag_growth": self.growth,
            "p50_ms": fresh.p50,
            "p99_ms": fresh.p99,
            "p999_ms": fresh.p999,
            "recall": self.recall,
            "generator_late_p50_ms": windows.percentile(self.late[self.judged], 0.5) * 1000,
            "generator_late_p99_ms": windows.percentile(self.late[self.judged], 0.99) * 1000,
            "cpu_us": self.cpu,
            "shares": self.shares,
            "stages_us": self.stages,
            "events_per_unit": self.events_per_unit,
            "written": self.written,
        }


def run(deployment: Deployment, offer: Offer) -> Outcome:
    """Offer events to the workers of a deployment, and wait until all have a recommendation.

    The judged part is what follows the first sixth of the offer.
    """
    folder, name, ends = deployment.folder, f"run-{time.monotonic_ns()}", deployment.ends()
    with ExitStack() as stack:
        reading = stack.enter_context(consuming(consumer_order(deployment, offer, ends, name), folder, name))
        sending = stack.enter_context(generating(generator_order(deployment, offer, name), folder, name))
        reading.wait_ready()
        sending.wait_ready()
        began = time.monotonic() + BEGINS_AFTER_S
        reading.begin(began + offer.seconds + offer.drain_s)
        sending.begin(began)
        part = Part(began + offer.seconds / WARM_SHARE, began + offer.seconds)
        of_processes = deployment.processes() | {"generator": [sending.process.pid], "consumer": [reading.process.pid]}
        taken: list[tuple[Account, stages.Scrape]] = []
        for at in part:
            sleep_until(at, deployment)
            taken.append((account(of_processes), stages.sum_of(deployment.scrapes())))
        sending.wait(ANSWERS_WITHIN_S)
        reading.wait(ANSWERS_WITHIN_S + offer.drain_s)
    deployment.check()
    written = {kind: sum(of.values()) - sum(ends[kind].values()) for kind, of in deployment.ends().items()}
    sent, got = (np.load(folder / f"{name}-{who}.npz") for who in ("generator", "consumer"))
    (before, scraped_before), (after, scraped_after) = taken
    events = int(((got["arrived"] >= before.at) & (got["arrived"] < after.at)).sum())
    return Outcome(
        offer, part, began + np.arange(offer.count) / offer.rate, got["arrived"], got["place"], sent["late"],
        int(got["repeated"]), int(sent["refused"]), per_event(before, after, events), shares(before, after),
        stages.breakdown(scraped_before, scraped_after), stages.events_per_unit(scraped_before, scraped_after), written,
    )  # fmt: skip


def consumer_order(deployment: Deployment, offer: Offer, ends: Ends, name: str) -> consumer.Order:
    return consumer.Order(
        bootstrap=deployment.settings.broker, topic=deployment.settings.topic("recommendations"), events=str(offer.events),
        first=offer.first, count=offer.count, positions=ends["recommendations"],
        result=str(deployment.folder / f"{name}-consumer.npz"),
    )  # fmt: skip


def generator_order(deployment: Deployment, offer: Offer, name: str) -> generator.Order:
    return generator.Order(
        bootstrap=deployment.settings.broker, topic=deployment.settings.topic("events"), events=str(offer.events),
        first=offer.first, count=offer.count, rate=offer.rate, result=str(deployment.folder / f"{name}-generator.npz"),
    )  # fmt: skip
