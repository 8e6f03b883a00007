"""Evaluates one method in a process of its own, so that only its time and memory are measured.

Run it as ``python -m serving.evaluation.evaluating`` with an `Order` as JSON on standard input. It
writes one JSON object per line: its progress, and at the end the `Evaluation`.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, TypedDict

import msgspec
import numpy as np

from models.evaluation.metrics import recovery, summary
from models.evaluation.prequential import MISS, run
from models.registry import build
from serving.outputs import to_json
from serving.recorded import Reading, require_events
from streams.errors import OuzelError, Refused
from streams.rules import limits_of
from streams.settings import load_settings
from streams.tools.history import Drift, read_stream
from streams.tools.recorded import Report

PROGRESS_EVERY_S = 0.3


class Order(msgspec.Struct, kw_only=True):
    """What to evaluate, and on which data. The fields are the options of `ouzel evaluate`."""

    method: str
    files: list[str]
    test: str | None = None
    frozen: bool = False
    encoder: str = "gru"
    profile: str = "balanced"
    max_items: int = 250_000
    k: int = 20
    seed: int = 0
    limit: int | None = None
    drift: str | None = None
    reading: Reading = Reading()
    gap_s: float = 1800.0


class Progress(TypedDict):
    """The progress: ``done`` of ``of`` events are predicted."""

    done: int
    of: int


class Evaluation(TypedDict):
    """The outcome for one method: the size of the stream, skipped records, and the measures."""

    events: int
    predictions: int
    items: int
    lines: int
    left_out: dict[str, int]
    examples: list[str]
    unmapped: list[str]
    dropped: dict[str, int]
    of_zero: int
    result: dict[str, Any]


def evaluate(order: Order) -> Evaluation:
    """Read the stream, predict and learn each event, and write the progress meanwhile."""
    drift = Drift.parse(order.drift) if order.drift else None
    settings = load_settings()
    limits = limits_of(settings)._replace(gap_ms=int(order.gap_s * 1000))
    stream = read_stream(
        [Path(name) for name in order.files], order.reading.reader(settings), report := Report(), limits=limits,
        test=Path(order.test) if order.test else None, drift=drift, seed=order.seed, limit=order.limit,
    )  # fmt: skip
    require_events(report)
    before = _megabytes()
    model = build(
        order.method, order.seed, encoder=order.encoder, profile=order.profile, frozen=order.frozen, max_items=order.max_items
    )
    model.warmup()
    gc.collect()
    gc.freeze()  # collections then skip the million objects of the stream
    written_at = 0.0

    def progress(done: int) -> None:
        nonlocal written_at
        if (now := time.monotonic()) - written_at > PROGRESS_EVERY_S:
            written_at = now
            _write({"done": done, "of": len(stream)})

    predictions = run(model, stream, order.k, only_test_file=order.test is not None, frozen=order.frozen, progress=progress)
    learned = np.ones(len(stream), np.bool_)
    if order.frozen:
        learned = ~np.array(stream.of_test_file, np.bool_)
    result = summary(predictions, stream, order.k, seen_before=stream.seen_before(learned))
    result |= {"peak_memory_mb": _megabytes(), "model_memory_mb": _megabytes() - before}
    result |= {"skipped_steps": model.skipped_steps, "evicted_items": model.evicted_items, "drift_resets": model.drifts}
    if drift is not None:
        hit = (predictions.rank != MISS) & (predictions.rank < order.k)
        result["recovery_events"] = recovery(predictions.row, hit, int(len(stream) * drift.at))
    if (gate := getattr(model, "gate", None)) is not None:
        result["gate"] = gate.reliance()
    return {
        "events": len(stream),
        "predictions": len(predictions.row),
        "items": len(stream.items()),
        "lines": report.lines,
        "unmapped": list(report.unmapped),
        "dropped": dict(report.dropped),
        "of_zero": report.of_zero,
        "left_out": dict(report.left_out),
        "examples": report.examples,
        "result": result,
    }


def _megabytes() -> float:
    """Return the peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _write(message: Progress | Evaluation | dict[str, str]) -> None:
    sys.stdout.write(to_json(message, indent=None) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        _write(evaluate(msgspec.convert(json.load(sys.stdin), Order)))  # names of files may have lone surrogates
    except Refused as error:
        _write({"refused": str(error)})
        sys.exit(error.exit_code)
    except OuzelError as error:
        _write({"failed": str(error)})
        sys.exit(error.exit_code)
