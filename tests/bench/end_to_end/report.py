"""The report of a benchmark as Markdown. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from serving.evaluation.charts import Series, lines
from serving.evaluation.report import CSS

Result = Mapping[str, Any]
CHARTED = {"sessions": ("memory_mb", "memory_after_start_mb", "disk_mb"), "items": ("memory_mb", "model_file_mb")}
"""What the charts draw, by what it depends on."""
PARTS = ("worker", "trainer", "broker", "generator", "consumer", "serve")


def markdown(result: Result) -> str:
    """The report of a whole result."""
    sections = [_head(result)]
    for name, write in SECTIONS.items():
        if measured := result["measurements"].get(name):
            sections.append(write(measured))
    return "\n\n".join(sections) + "\n"


def number(value: float | None, digits: int = 0) -> str:
    """A number for a table; empty if it was not measured."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.{digits}f}"


def recall(value: float | None) -> str:
    """A recall with three digits, without the zero before the point."""
    return "" if value is None or math.isnan(value) else f"{value:.3f}".removeprefix("0")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, without the columns in which nothing was measured."""
    shown = [n for n in range(len(columns)) if any(row[n] for row in rows)]
    printed = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line[n] for n in shown)} |" for line in printed)


def _head(result: Result) -> str:
    machine = result["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return "\n".join([
        "# End-to-end benchmark",
        "",
        f"- {result['date']}, commit {machine['commit']}, scale {result['scale']:g}",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['memory_gb']:g} GB, {machine['system']}",
        f"- Python {machine['python']}, Apache Kafka {machine['kafka']}, {packages}",
        f"- yardstick: {number(machine['yardstick_gflops'], 1)} GFLOP/s before, "
        f"{number(result.get('yardstick_after_gflops'), 1)} after (one thread, float32)",
        f"- events: {result['data']}",
    ])  # fmt: skip


def _cpu_cells(measured: Result) -> list[str]:
    return [number(measured["cpu_us"].get(part)) for part in PARTS]


def _run_cells(measured: Result) -> list[str]:
    return [
        *(number(measured[name], 1) or "never" for name in ("p50_ms", "p99_ms", "p999_ms")),
        recall(measured["recall"]),
        recall(measured["offline_recall"]),
        *_cpu_cells(measured),
        f"{measured['shares']['run']:.0%}",
        f"{measured['shares']['others']:.0%}",
    ]


CPU_COLUMNS = tuple(f"{part}, us" for part in PARTS)
RUN_COLUMNS = (
    "p50, ms", "p99, ms", "p99.9, ms", "recall", "without lag", *CPU_COLUMNS, "cores used", "by others",
)  # fmt: skip


def _throughput(measured: Sequence[Result]) -> str:
    summary, steps = list[list[str]](), list[list[str]]()
    for one in measured:
        name = [number(one["items"]), str(one["workers"])]
        highest = next((step for step in one["steps"] if step["rate"] == one["sustained"]), None)
        cells = [number(one["sustained"]) or "none of those tried", number(one["backlog"]["rate"])]
        summary.append([*name, *cells, *(_run_cells(highest) if highest else [""] * len(RUN_COLUMNS))])
        steps += [
            [*name, number(step["rate"]), f"{step['lag_growth']:+.1%}", recall(step["recall"]), recall(step["offline_recall"]),
             *_cpu_cells(step), "yes" if step["sustained"] else "; ".join(step["reasons"])]
            for step in one["steps"]
        ]  # fmt: skip
    tried = (
        "items",
        "workers",
        "events/s",
        "lag growth",
        "recall",
        "without lag",
        *CPU_COLUMNS,
        "sustained",
    )
    return "\n\n".join([
        "## Throughput",
        "The highest rate at which lag does not grow and live recall stays within .01 of that without lag. CPU is per event.",
        table(("items", "workers", "events/s", "backlog, events/s", *RUN_COLUMNS), summary),
        "Every rate that was tried:",
        table(tried, steps),
        "Time of the workers by stage, microseconds per event (stages wait for each other, so they are not CPU):",
        _stages([(f"{one['items']:,} items, {one['workers']} workers, {step['rate']:,.0f}/s", step) for one in measured
                 for step in one["steps"] if step["rate"] == one["sustained"]]),
    ])  # fmt: skip


def _stages(rows: Sequence[tuple[str, Result]]) -> str:
    if not rows:
        return "No rate was sustained, so there is nothing to show."
    names = list(dict.fromkeys(name for _, measured in rows for name in measured["stages_us"]))
    cells = [
        [title, number(measured.get("events_per_unit"), 1), *(number(measured["stages_us"].get(name)) for name in names)]
        for title, measured in rows
    ]
    return table(("", "events per unit", *names), cells)


def _freshness(measured: Sequence[Result]) -> str:
    rows = [[number(one["rate"]), *_run_cells(one), number(one["generator_late_p99_ms"], 1)] for one in measured]
    return "\n\n".join(
        [
            "## Freshness",
            "From when an event is due until its recommendation arrived at the consumer; one worker. CPU is per event.",
            table(("events/s", *RUN_COLUMNS, "generator late, p99 ms"), rows),
            _stages([(f"{one['rate']:,.0f}/s", one) for one in measured]),
        ]
    )


def _serve(measured: Sequence[Result]) -> str:
    return _freshness(measured).replace("## Freshness", "## Freshness beside `ouzel serve`")


def _catching_up(measured: Result) -> str:
    columns = ("events", "time, s", "events/s", "recall", "without lag", "learned after, s", *CPU_COLUMNS)
    cells = [
        number(measured["events"]), number(measured["seconds"], 1), number(measured["rate"]), recall(measured["recall"]),
        recall(measured["offline_recall"]), number(measured["learned_s"], 1), *_cpu_cells(measured),
    ]  # fmt: skip
    return "\n\n".join(
        [
            "## Catching up",
            "A backlog, worked off by one worker. CPU is per event, until the model has learned everything.",
            table(columns, [cells]),
            _stages([("backlog", measured)]),
        ]
    )


def _recovery(measured: Result) -> str:
    sessions = [
        [number(one["sessions"]), number(one["start_s"], 1), number(one["start_without_disk_s"], 1),
         *(number(sum(one[name].values())) for name in ("memory_mb", "memory_after_start_mb")), number(one["disk_mb"], 1)]
        for one in measured["sessions"]
    ]  # fmt: skip
    items = [
        [number(one["items"]), number(one["start_s"], 1), *(number(one["memory_mb"].get(part)) for part in ("worker", "trainer")),
         number(one["model_file_mb"], 1), number(one["disk_mb"], 1)]
        for one in measured["items"]
    ]  # fmt: skip
    starts = ("start, s", "start without its disk, s", "memory, MB", "memory after a start, MB", "disk, MB")
    models = ("start, s", "worker, MB", "trainer, MB", "model file, MB", "disk, MB")
    return "\n\n".join(
        [
            "## Recovery",
            "From the start of a worker's process to the first recommendation at the consumer, and what it takes up.",
            table(("sessions", *starts), sessions),
            "Growth per 100,000 sessions: "
            + _growth(measured["sessions"], "sessions", ("memory_after_start_mb", "disk_mb"))
            + ".",
            table(("items", *models), items),
            "![memory and disk by sessions](bench-sessions.svg) ![memory by items](bench-items.svg)",
            "Growth per 100,000 items: " + _growth(measured["items"], "items", ("memory_mb", "model_file_mb")) + ".",
        ]
    )


def _growth(rows: Sequence[Result], of: str, names: Sequence[str]) -> str:
    """What each figure grows by from the smallest size to the largest, in MB per 100,000."""
    first, last = rows[0], rows[-1]
    return ", ".join(
        f"{name.removesuffix('_mb').replace('_', ' ')} {number(per_100_000(first, last, of, name), 1)} MB" for name in names
    )


def per_100_000(first: Result, last: Result, of: str, name: str) -> float:
    """How much a figure grows per 100,000 sessions or items between two sizes; NaN for one size."""
    sizes = last[of] - first[of]
    return (_whole(last[name]) - _whole(first[name])) / sizes * 100_000 if sizes else math.nan


def _whole(value: float | Mapping[str, float]) -> float:
    return sum(value.values()) if isinstance(value, Mapping) else value


def _beside(measured: Mapping[str, float]) -> str:
    bare = next(iter(measured.values()))
    rows = [[name, number(cost, 1), number(cost / bare, 2)] for name, cost in measured.items()]
    return "\n\n".join(
        [
            "## Beside it",
            "CPU per event over a backlog of the same clicks, without a model.",
            table(("", "us of CPU per event", "ratio"), rows),
        ]
    )


def charts(result: Result) -> dict[str, str]:
    """The charts of a result as SVG, by the name of their file."""
    measured = result["measurements"].get("recovery")
    if not measured:
        return {}
    return {f"bench-{of}.svg": _chart(measured[of], of, names) for of, names in CHARTED.items()}


def _chart(rows: Sequence[Result], of: str, names: Sequence[str]) -> str:
    series = [
        Series(name.removesuffix("_mb").replace("_", " "), [(one[of], _whole(one[name])) for one in rows], number)
        for number, name in enumerate(names)
    ]
    drawn = lines(series, ticks=[(one[of], f"{one[of]:,}") for one in rows], x_title=of, y_title="MB", dots=True)
    return drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f"><style>{CSS}</style>", 1)


SECTIONS = {
    "throughput": _throughput,
    "freshness": _freshness,
    "serve": _serve,
    "catching-up": _catching_up,
    "recovery": _recovery,
    "beside": _beside,
}
"""How each measurement is written, in this order."""
