"""The end-to-end benchmark: how many events a second, how fresh, how good.

Apache Kafka (KAFKA_HOME), workers, a generator of real clicks (OUZEL_TEST_DATA) and a consumer,
each in processes of their own. ONLY chooses measurements by name, separated by commas, and SCALE
shortens them. ITEMS and WORKERS choose the sizes of the catalogue and the numbers of workers of
`throughput`. Writes build/bench.json, build/bench.md and charts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.end_to_end.bench import Bench, plain, say
from bench.end_to_end.beside import beside
from bench.end_to_end.catching_up import catching_up
from bench.end_to_end.freshness import beside_serve, freshness
from bench.end_to_end.machine import describe
from bench.end_to_end.recovery import recovery
from bench.end_to_end.report import charts, markdown
from bench.end_to_end.throughput import throughput

from serving.demo.brokers import ApacheBroker
from serving.evaluation.yardstick import gigaflops

MEASUREMENTS: dict[str, Callable[[Bench], Any]] = {
    "throughput": throughput,
    "freshness": freshness,
    "serve": beside_serve,
    "catching-up": catching_up,
    "recovery": recovery,
    "beside": beside,
}
"""In the order in which they run: `freshness` uses the result of `throughput`."""
SIZES, COUNTS = "3000,30000,100000", "1,2"
SHORT = 0.5
"""Below this scale, `throughput` measures one worker with the smallest catalogue, unless ITEMS and
WORKERS say otherwise."""


def main() -> None:
    """Run the chosen measurements. The files are written after each of them."""
    home, scale = os.environ.get("KAFKA_HOME"), float(os.environ.get("SCALE") or 1)
    if not home or not os.environ.get("OUZEL_TEST_DATA"):
        sys.exit("bench needs KAFKA_HOME, a folder with Apache Kafka, and OUZEL_TEST_DATA, a folder with rsc15 in it")
    chosen = [name for name in (os.environ.get("ONLY") or ",".join(MEASUREMENTS)).split(",") if name]
    if unknown := [name for name in chosen if name not in MEASUREMENTS]:
        sys.exit(f"no measurement is named {', '.join(unknown)}; choose from: {', '.join(MEASUREMENTS)}")
    sizes, counts = (default if scale >= SHORT else default.partition(",")[0] for default in (SIZES, COUNTS))
    run(Path(home), Path("build"), scale, chosen, numbers("ITEMS", sizes), numbers("WORKERS", counts))


def run(home: Path, build: Path, scale: float, chosen: list[str], sizes: list[int], counts: list[int]) -> dict[str, Any]:
    """Run measurements, and return what is in bench.json."""
    build.mkdir(exist_ok=True)
    result: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "scale": scale, "machine": describe(home),
        "measurements": {},
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="ouzel-bench-") as folder, ApacheBroker(home) as broker:
        bench = Bench(broker, Path(folder), scale, sizes, counts)
        result["data"] = bench.described
        for name, measure in MEASUREMENTS.items():
            if name in chosen:
                began = time.monotonic()
                bench.results[name] = measure(bench)
                say(f"{name}: {time.monotonic() - began:.0f} s")
                result["measurements"] = plain(bench.results)
                write(build, result)
    result["yardstick_after_gflops"] = gigaflops()
    write(build, result)
    return result


def numbers(name: str, default: str) -> list[int]:
    """The whole numbers of an environment variable, separated by commas."""
    return [int(number) for number in (os.environ.get(name) or default).split(",")]


def write(build: Path, result: dict[str, Any]) -> None:
    """Write the files."""
    (build / "bench.json").write_text(json.dumps(plain(result), indent=1) + "\n")
    (build / "bench.md").write_text(markdown(plain(result)))
    for name, drawn in charts(plain(result)).items():
        (build / name).write_text(drawn)


if __name__ == "__main__":
    main()
