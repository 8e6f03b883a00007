"""Measure what the hybrid costs by catalogue size: speed, memory, and recall of the index.

For each profile and size, a new process makes a catalogue (`bench.catalogue` has the rule), lets
the model follow one transition of each item, and learns a quarter of EVENTS. Then it measures

- learning, `Hybrid.learn`: each prefix is ranked, then learned. As a whole, then by stage;
- learning and ranking: after each step, the journey's rankings of the step's events in one batch;
- ranking in batches of 64, and single rankings;
- recall of the net's exact best 40 items among those that the model finds;
- memory of the process, now and at most.

A float32 matrix product is timed alongside each run, because the machines are noisy. The
environment variables ITEMS, EVENTS, PROFILES and EXACT_ITEMS change what is measured.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from bench.catalogue import Catalogue, shop

import models.hybrid as module
from models.gate import scoring
from models.gate.batch import NONE_BLOCKED
from models.hybrid import EXACT_ITEMS, Hybrid
from models.recommender import Query
from models.transition import Transitions
from serving.evaluation.yardstick import gigaflops
from streams.observing.memory import resident_bytes

ITEMS = [int(n) for n in os.environ.get("ITEMS", "3000,30000,100000,1000000").split(",")]
EVENTS = int(os.environ.get("EVENTS", "12000"))
PROFILES = os.environ.get("PROFILES", "gru/balanced,recency/fast").split(",")
EXACT = int(os.environ.get("EXACT_ITEMS", EXACT_ITEMS))
WARM = EVENTS // 4
BATCH, K, TOP, COMPARED = 64, 50, 40, 256
STAGES = (
    "columns", "encode", "score", "top", "search", "experts, features", "gate", "best", "store", "learn gate", "learn net",
    "index", "rest",
)  # fmt: skip
OUT = Path("build/bench-model.json")


class Stages:
    """CPU time by stage, measured around the functions that the hybrid calls."""

    def __init__(self, model: Hybrid) -> None:
        self.seconds = Counter[str]()
        for owner, name, stage in (
            (model.memory, "register", "columns"),
            (model.net, "queries", "encode"),
            (model.net, "logits", "score"),
            (scoring, "top_scores", "top"),
            (model.scoring.index, "search", "search"),
            (module, "describe_batch", "experts, features"),
            (model.gate, "scores", "gate"),
            (module, "best", "best"),
            (model.gate, "keep", "store"),
            (model.gate, "learn", "learn gate"),
            (model.net, "learn", "learn net"),
            (model.scoring, "follow", "index"),
        ):
            setattr(owner, name, self._timed(getattr(owner, name), stage))

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            result = call(*arguments, **named)
            self.seconds[stage] += time.process_time() - began
            return result

        return timed


def steps(model: Hybrid, batch: Transitions) -> list[Transitions]:
    """The batch as learning steps."""
    size = model.step_size
    return [batch.take(range(begin, min(begin + size, len(batch)))) for begin in range(0, len(batch), size)]


def queries_of(batch: Transitions) -> list[Query]:
    """What a worker ranks for: the sessions after each event."""
    return [Query((*prefix, item)) for prefix, item in zip(batch.prefix, batch.item, strict=True)]


def learn(model: Hybrid, batch: Transitions, *, then_rank: bool = False) -> float:
    """Learn the batch; returns the CPU seconds that it took."""
    prepared = [(step, queries_of(step) if then_rank else []) for step in steps(model, batch)]
    began = time.process_time()
    for step, queries in prepared:
        model.learn(step)
        if queries:
            model.rank(queries, K)
    return time.process_time() - began


def measure(items: int, name: str) -> dict[str, Any]:
    """Measure one size and profile."""
    model = Hybrid(0, *name.split("/"), max_items=2 * items, exact_items=EXACT)
    model.warmup()
    catalogue = Catalogue(shop(), items)
    for batch in catalogue.every_item():
        model.follow(batch)
    learn(model, catalogue.clicks(WARM))
    before = gigaflops()
    seconds = learn(model, catalogue.clicks(EVENTS))
    both = learn(model, catalogue.clicks(EVENTS), then_rank=True)
    queries = queries_of(catalogue.clicks(EVENTS // 2))
    together, alone = rank(model, queries)
    found = recall(model, queries[:COMPARED])
    now, most = memory()
    result = {
        "items": items,
        "profile": name,
        "exact_items": EXACT,
        "gflops": (before + gigaflops()) / 2,
        "events_per_second": EVENTS / seconds,
        "learned_and_ranked_per_second": EVENTS / both,
        "rank_batch_us": together,
        "rank_p50_us": float(np.percentile(alone, 50)),
        "rank_p99_us": float(np.percentile(alone, 99)),
        "recall_of_top": found,
        "memory_mb": now,
        "most_memory_mb": most,
    }
    stages = Stages(model)
    whole = learn(model, catalogue.clicks(EVENTS))
    stages.seconds["rest"] = whole - stages.seconds.total()
    return result | {"stages_us": {stage: stages.seconds[stage] / EVENTS * 1e6 for stage in STAGES}}


def rank(model: Hybrid, queries: list[Query]) -> tuple[float, list[float]]:
    """CPU time per query in batches of 64, and wall times of single queries, in microseconds."""
    model.rank(queries[:BATCH], K)
    began = time.process_time()
    for begin in range(0, len(queries) - BATCH + 1, BATCH):
        model.rank(queries[begin : begin + BATCH], K)
    together = (time.process_time() - began) / (len(queries) // BATCH * BATCH) * 1e6
    alone = []
    for query in queries[:2000]:
        start = time.perf_counter()
        model.rank([query], K)
        alone.append((time.perf_counter() - start) * 1e6)
    return together, alone


def recall(model: Hybrid, queries: list[Query]) -> float:
    """The share of the net's exact best 40 items that the model finds."""
    columns, height, shares = model.memory.look_up(queries), model.memory.vocabulary.height, list[float]()
    for window in columns.window[columns.warm]:
        vector = model.net.queries(window[None])[0].copy()  # [d]
        scores = model.net.items.embedding[:height] @ vector + model.net.items.bias[:height]  # [height]
        net = model.scoring.score(window[None], [], NONE_BLOCKED, TOP)
        found = net.top[0, : min(net.counts[0], TOP)]
        shares.append(len(np.intersect1d(found, np.argpartition(-scores, TOP)[:TOP])) / TOP)
    return float(np.mean(shares))


def memory() -> tuple[float, float]:
    """Resident memory of this process now and at most, in MB."""
    return (resident_bytes() or 0) / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    """Measure, print, and write build/bench-model.json."""
    results = []
    for name in PROFILES:
        for items in ITEMS:
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                row = process.submit(measure, items, name).result()
            results.append(row)
            per_second, both = row["events_per_second"], row["learned_and_ranked_per_second"]
            print(
                f"{name}, {items} items, {row['gflops']:.0f} GFLOP/s: {per_second:.0f} events/s learned, {both:.0f} with ranking"
            )
            together, p50, p99 = (f"{row[f'rank_{figure}_us']:.0f}" for figure in ("batch", "p50", "p99"))
            print(f"    rank, us: {together} in batches of {BATCH}; alone p50 {p50}, p99 {p99}")
            print(f"    recall of the top {TOP} {row['recall_of_top']:.3f}; ", end="")
            print(f"{row['memory_mb']:.0f} MB, at most {row['most_memory_mb']:.0f}")
            stages = ", ".join(f"{stage} {value:.1f}" for stage, value in row["stages_us"].items())
            print(f"    learn, us per event: {stages}", flush=True)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
