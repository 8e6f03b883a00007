"""Measure what the hybrid costs: CPU per learned event by stage, and the time of ranking.

Learning is `Hybrid.learn` (each prefix is ranked, then learned) over synthetic sessions: walks over
a catalogue whose popularity follows Zipf's law, where a few items are likely to follow each item. A
float32 matrix product is timed alongside each run, because the machines are noisy. The environment
variables ITEMS, EVENTS and PROFILES change what is measured.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import models.hybrid as module
from models.hybrid import Hybrid
from models.recommender import Query
from models.transition import Transitions
from serving.evaluation.yardstick import gigaflops

ITEMS = [int(n) for n in os.environ.get("ITEMS", "3000,30000,100000").split(",")]
EVENTS = int(os.environ.get("EVENTS", "12000"))
PROFILES = os.environ.get("PROFILES", "gru/balanced,recency/fast").split(",")
WARM = EVENTS // 4
BATCH = 64
STAGES = ("columns", "encode", "score", "top", "experts, features", "gate", "best", "store", "learn gate", "learn net", "rest")
OUT = Path("build/bench-model.json")


def clicks(items: int, events: int, seed: int = 0) -> Transitions:
    """Sessions of about four clicks."""
    rng, batch, offset = np.random.default_rng(seed), Transitions(), items
    likely = rng.integers(0, items, (items, 6))
    chance = 1 / np.arange(1, items + 1) ** 0.8
    starts = rng.choice(items, events, p=chance / chance.sum())
    while len(batch) < events:
        prefix, item = list[str](), int(starts[len(batch)])
        for _ in range(1 + rng.poisson(3)):
            batch.append(0, offset, list(prefix), str(item), "view", 1.0, offset, len(prefix), 20.0)
            prefix.append(str(item))
            offset += 1
            item = int(likely[item, min(rng.geometric(0.5) - 1, 5)])
    return batch


def catalogue(items: int) -> Transitions:
    """Every item once, so that all are known."""
    batch = Transitions()
    for n in range(items):
        batch.append(0, n, [str(n - 1)] if n % 4 else [], str(n), "view", 1.0, n)
    return batch


class Stages:
    """CPU time by stage, measured around the functions that the hybrid calls."""

    def __init__(self, model: Hybrid) -> None:
        self.seconds = Counter[str]()
        for owner, name, stage in (
            (model.memory, "register", "columns"),
            (model.net, "queries", "encode"),
            (model.net, "logits", "score"),
            (module, "top_scores", "top"),
            (module, "describe_batch", "experts, features"),
            (model.gate, "scores", "gate"),
            (module, "best", "best"),
            (model.gate, "keep", "store"),
            (model.gate, "learn", "learn gate"),
            (model.net, "learn", "learn net"),
        ):
            setattr(owner, name, self._timed(getattr(owner, name), stage))

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            result = call(*arguments, **named)
            self.seconds[stage] += time.process_time() - began
            return result

        return timed


def learn(model: Hybrid, batch: Transitions) -> float:
    """Learn the batch; returns the CPU seconds that it took."""
    size = model.step_size
    steps = [batch.take(range(begin, min(begin + size, len(batch)))) for begin in range(0, len(batch), size)]
    began = time.process_time()
    for step in steps:
        model.learn(step)
    return time.process_time() - began


def measure(items: int, encoder: str, profile: str) -> dict[str, Any]:
    """Measure one size and profile: learning as a whole, learning by stage, then ranking."""
    originals = module.top_scores, module.describe_batch, module.best
    model = Hybrid(0, encoder, profile)
    model.warmup()
    everything = catalogue(items)
    for begin in range(0, items, 2000):
        model.follow(everything.take(range(begin, min(begin + 2000, items))))
    batch = clicks(items, WARM + 2 * EVENTS)
    learn(model, batch.take(range(WARM)))
    before = gigaflops()
    seconds = learn(model, batch.take(range(WARM, WARM + EVENTS)))
    stages = Stages(model)
    whole = learn(model, batch.take(range(WARM + EVENTS, WARM + 2 * EVENTS)))
    stages.seconds["rest"] = whole - stages.seconds.total()
    module.top_scores, module.describe_batch, module.best = originals  # type: ignore[assignment]
    queries = [Query((*prefix, item)) for prefix, item in zip(batch.prefix[-6400:], batch.item[-6400:], strict=True)]
    together, alone = rank(model, queries)
    return {
        "items": items,
        "profile": f"{encoder}/{profile}",
        "gflops": (before + gigaflops()) / 2,
        "events_per_second": EVENTS / seconds,
        "stages_us": {stage: stages.seconds[stage] / EVENTS * 1e6 for stage in STAGES},
        "rank_batch_us": together,
        "rank_p50_us": float(np.percentile(alone, 50)),
        "rank_p99_us": float(np.percentile(alone, 99)),
    }


def rank(model: Hybrid, queries: list[Query]) -> tuple[float, list[float]]:
    """CPU time per query in batches of 64, and wall times of single queries, in microseconds."""
    model.rank(queries[:BATCH], 50)
    began = time.process_time()
    for begin in range(0, len(queries) - BATCH + 1, BATCH):
        model.rank(queries[begin : begin + BATCH], 50)
    together = (time.process_time() - began) / (len(queries) // BATCH * BATCH) * 1e6
    alone = []
    for query in queries[:2000]:
        start = time.perf_counter()
        model.rank([query], 50)
        alone.append((time.perf_counter() - start) * 1e6)
    return together, alone


def main() -> None:
    """Measure, print, and write build/bench-model.json."""
    results = []
    for name in PROFILES:
        for items in ITEMS:
            row = measure(items, *name.split("/"))
            results.append(row)
            together, p50, p99 = (f"{row[f'rank_{figure}_us']:.0f}" for figure in ("batch", "p50", "p99"))
            print(f"{name}, {items} items, {row['gflops']:.0f} GFLOP/s: {row['events_per_second']:.0f} events/s")
            print(f"    rank, us: {together} in batches of {BATCH}; alone p50 {p50}, p99 {p99}")
            stages = ", ".join(f"{stage} {value:.1f}" for stage, value in row["stages_us"].items())
            print(f"    learn, us per event: {stages}", flush=True)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
