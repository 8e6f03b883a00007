"""The same clicks through a bare aiokafka loop and idiomatic Faust: the cost of the plumbing."""

from __future__ import annotations

from bench.end_to_end.backlog import fill
from bench.end_to_end.bench import OWN_ITEMS, Bench, say
from bench.end_to_end.rig import Deployment
from bench.end_to_end.runs import Offer
from bench.pipeline import IDIOMATIC_EVENTS, UNIT, child, ouzel

EVENTS, FEWEST = 200_000, 60_000
"""At least so many, because a worker without a model does 25,000 events/s, and starts meanwhile."""
BARE, IDIOMATIC = "bare aiokafka loop", "idiomatic Faust"


def beside(bench: Bench) -> dict[str, float]:
    """CPU microseconds per event of each, over a backlog; Ouzel is without a model here."""
    events, settled = max(bench.times(EVENTS), FEWEST), {"model": "null", "max_poll_records": UNIT, "session_timeout_s": 3.0}
    costs = dict[str, float]()
    for name, count in ((BARE, events), ("leased", events), ("exactly_once", events), (IDIOMATIC, IDIOMATIC_EVENTS)):
        with Deployment(bench.broker, bench.folder, **settled) as deployment:
            fill(deployment, Offer(bench.catalogue(OWN_ITEMS).path, 0, count, 0.0))
            settings, folder = deployment.settings, deployment.folder
            if name == BARE:
                costs[name] = child("bare.py", settings, folder, count, UNIT)
            elif name == IDIOMATIC:
                costs[name] = child("idiomatic.py", settings, folder, count, settings.partitions)
            else:
                costs[f"Ouzel without a model, {name.replace('_', ' ')}"] = ouzel(settings, folder, name, count)
        say(f"{name}: {list(costs.values())[-1]:.1f} us of CPU per event")
    return costs
