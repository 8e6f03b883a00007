"""A backlog: the events are there before the workers start."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from bench.accounts import account, per_event
from bench.end_to_end import stages, windows
from bench.end_to_end.rig import Deployment, consuming, generating
from bench.end_to_end.runs import Offer, consumer_order, generator_order
from bench.end_to_end.windows import Places

FILLED_WITHIN_S, DONE_WITHIN_S = 300.0, 1800.0
WARM_SHARE, SAMPLE_EVERY_S = 10, 0.1


class CaughtUp(NamedTuple):
    """How a backlog was worked off.

    ``first_s`` is from the start of the workers to the first recommendation. ``seconds`` is from
    the first recommendation to the last. ``rate`` is in events per second after the first tenth.
    ``learned_s`` is how long the model learned after the last recommendation. ``cpu`` is in
    microseconds per event after the first tenth, until the model has learned everything.
    ``workers_recall`` is what the workers say themselves.
    """

    events: int
    first_s: float
    seconds: float
    rate: float
    learned_s: float
    missing: int
    repeated: int
    recall: float
    workers_recall: float | None
    place: Places
    cpu: dict[str, float]
    stages: dict[str, float]

    def figures(self) -> dict[str, Any]:
        """The figures of the report, as JSON."""
        return {name: value for name, value in self._asdict().items() if name not in ("place", "cpu", "stages")} | {
            "cpu_us": self.cpu,
            "stages_us": self.stages,
        }


def fill(deployment: Deployment, offer: Offer) -> None:
    """Send the events of an offer at once. Its rate does not matter."""
    name = f"fill-{time.monotonic_ns()}"
    with generating(generator_order(deployment, offer._replace(rate=0.0), name), deployment.folder, name) as sending:
        sending.wait_ready()
        sending.begin(time.monotonic())
        sending.wait(FILLED_WITHIN_S)
    refused = int(np.load(deployment.folder / f"{name}-generator.npz")["refused"])
    assert not refused, f"the broker refused {refused} batches of the backlog"


def catch_up(deployment: Deployment, offer: Offer) -> CaughtUp:
    """Fill the topic, start the workers, and wait until everything is ranked and learned."""
    ends = deployment.ends()
    fill(deployment, offer)
    folder, name = deployment.folder, f"backlog-{time.monotonic_ns()}"
    with ExitStack() as stack:
        reading = stack.enter_context(consuming(consumer_order(deployment, offer, ends, name), folder, name))
        reading.wait_ready()
        reading.begin(time.monotonic() + DONE_WITHIN_S)
        began = time.monotonic()
        deployment.launch()
        of_processes = deployment.processes() | {"consumer": [reading.process.pid]}
        accounts = [account(of_processes)]
        while not reading.ended:
            time.sleep(SAMPLE_EVERY_S)
            deployment.check()
            accounts.append(account(of_processes))
        ended = time.monotonic()
        deployment.settle()
        learned_s = time.monotonic() - ended
        accounts.append(account(of_processes))
        reading.wait(0)
        scrape = stages.sum_of(deployment.scrapes())
    got = np.load(folder / f"{name}-consumer.npz")
    arrived = np.sort(got["arrived"][~np.isnan(got["arrived"])])
    warm = arrived[len(arrived) // WARM_SHARE :]
    before = next((one for one in accounts if one.at >= warm[0]), accounts[-2])
    return CaughtUp(
        events=offer.count,
        first_s=float(arrived[0]) - began,
        seconds=float(arrived[-1] - arrived[0]),
        rate=len(warm) / max(float(warm[-1] - warm[0]), 1e-3),
        learned_s=learned_s,
        missing=int(np.isnan(got["arrived"]).sum()),
        repeated=int(got["repeated"]),
        recall=windows.recall(got["place"]),
        workers_recall=stages.recall_of(scrape),
        place=got["place"],
        cpu=per_event(before, accounts[-1], int((arrived >= before.at).sum())),
        stages=stages.breakdown({}, scrape),
    )
