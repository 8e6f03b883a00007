"""A result of `ouzel evaluate`, as the report gets it."""

from __future__ import annotations

from typing import Any


def measures(recall: float, **more: Any) -> dict[str, Any]:
    cuts = {f"{kind}@{k}": recall * k / 20 for kind in ("recall", "precision", "f1", "mrr", "ndcg") for k in (1, 20)}
    shares = {f"{name}@20": 0.25 for name in ("coverage", "long_tail", "repeat")}
    return {
        **cuts, **shares, "recall@20_low": recall - 0.01, "recall@20_high": recall + 0.01, "cold_item_predictions": 0,
        "cold_item_recall@20": None, "cold_session_predictions": 9, "cold_session_recall@20": 0.5, "cpu_seconds": 1.5,
        "events_per_second": 7000 * recall, "peak_memory_mb": 300.0, "curve": [[50, recall], [100, recall]],
        "by_position": [["1", 9, recall], ["2", 0, None]], "by_popularity": [["new", 9, 0.0], ["1-9", 5, recall]],
    } | more  # fmt: skip


def result(**methods: dict[str, Any]) -> dict[str, Any]:
    common = {"dataset": "a<b>.txt", "events": 100, "predictions": 9, "items": 7, "mode": "prequential", "k": 20, "seed": 0}
    return common | {"command": "ouzel evaluate 'a<b>.txt'", "yardstick_gflops": 90.0, "methods": methods}
