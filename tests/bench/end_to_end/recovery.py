"""Starts of a worker, and what sessions and items take up in memory and on disk.

*Sessions* are measured without a model: one click makes one session. *Items* are measured with the
hybrid: the worker starts with a model that has learned every item once. A start counts from the
start of the process to the first recommendation that a consumer has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.end_to_end.backlog import catch_up
from bench.end_to_end.bench import Bench, say
from bench.end_to_end.offline import prepared_model, save_model
from bench.end_to_end.rig import PARTITIONS, Deployment
from bench.end_to_end.runs import Offer
from bench.end_to_end.stream import catalogue, endless, offered, shops_for, single_clicks

from streams.settings import Settings

SESSIONS = (100_000, 300_000, 1_000_000)
ITEMS = (3_000, 30_000, 100_000)
AFTER_START = 4
"""Events that wait for a worker that starts."""


def recovery(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    """Measure three sizes of each."""
    return {"sessions": _of_sessions(bench), "items": [_of_items(bench, items) for items in _sizes(bench)]}


def _of_sessions(bench: Bench) -> list[dict[str, Any]]:
    sizes, path = [bench.times(size) for size in SESSIONS], bench.folder / "single.msgpack"
    measured, done = list[dict[str, Any]](), 0
    with Deployment(bench.broker, bench.folder, model="null") as deployment:
        events = sizes[-1] + 2 * AFTER_START * len(sizes)
        offered(single_clicks(bench.clicks, events), PARTITIONS).save(path)
        for size in sizes:
            filled = catch_up(deployment, Offer(path, done, size - done, 0.0))
            memory, disk = deployment.memory_mb(), deployment.disk_mb()
            deployment.stop()
            kept = catch_up(deployment, Offer(path, size, AFTER_START, 0.0))
            deployment.stop(wipe=True)
            lost = catch_up(deployment, Offer(path, size + AFTER_START, AFTER_START, 0.0))
            restored = deployment.memory_mb()
            deployment.stop()
            done = size + 2 * AFTER_START
            measured.append({
                "sessions": done,
                "events_per_s": filled.rate,
                "memory_mb": memory,
                "memory_after_start_mb": restored,
                "disk_mb": disk,
                "start_s": kept.first_s,
                "start_without_disk_s": lost.first_s,
            })  # fmt: skip
            say(f"{size} sessions: start {kept.first_s:.1f} s, without the disk {lost.first_s:.1f} s")
    return measured


def _sizes(bench: Bench) -> list[int]:
    """Three sizes of the catalogue at this scale, all multiples of the real one."""
    return [max(bench.times(size), ITEMS[0] * (n + 1)) for n, size in enumerate(ITEMS)]


def _of_items(bench: Bench, size: int) -> dict[str, Any]:
    shops, settings = shops_for(bench.clicks, size), Settings(model="hybrid")
    names, model = bench.folder / f"start-{size}.msgpack", bench.folder / f"start-{size}"
    lines = catalogue(bench.clicks, shops)
    save_model(settings, prepared_model(settings, lines), model)
    clicks = [line for line, _ in zip(endless(bench.clicks, shops), range(AFTER_START), strict=False)]
    offered(clicks, PARTITIONS).save(names)
    with Deployment(bench.broker, bench.folder, learned=model) as deployment:
        started = catch_up(deployment, Offer(names, 0, AFTER_START, 0.0))
        memory, disk = deployment.memory_mb(), deployment.disk_mb()
    say(f"{len(lines)} items: start {started.first_s:.1f} s, {memory['worker']:.0f} MB")
    return {
        "items": len(lines),
        "memory_mb": memory,
        "disk_mb": disk,
        "model_file_mb": _size_mb(model),
        "start_s": started.first_s,
    }


def _size_mb(path: Path) -> float:
    return path.stat().st_size / 1e6
