"""`ouzel evaluate`: how well the methods predict recorded behaviour, and at what cost."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.encoders.registry import ENCODERS
from models.registry import METHODS
from serving.commands import CliError
from serving.commands.replay import parse_columns
from serving.evaluation.data import located
from serving.evaluation.evaluating import Order
from serving.evaluation.yardstick import gigaflops
from streams.tools.history import Drift
from streams.tools.replay import ReplayError, find_files

WIDE = 130
SHOWN = ("recall", "mrr", "ndcg", "f1", "coverage", "long_tail", "repeat")


def register(app: typer.Typer) -> None:
    app.command("evaluate")(evaluate)


def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Files or folders, as for `ouzel replay`; merged by event time.")],
    test: Annotated[Path | None, typer.Option(help="Count only predictions of this file's events.")] = None,
    frozen: Annotated[bool, typer.Option(help="Learn from the other files, then predict --test without learning.")] = False,
    method: Annotated[str, typer.Option(help=f"all, or some of {', '.join(METHODS)}, comma separated.")] = "hybrid",
    encoder: Annotated[str, typer.Option(help=f"Of the hybrid: {' or '.join(ENCODERS)}.")] = "gru",
    profile: Annotated[str, typer.Option(help="balanced or fast; by default fast for the recency encoder.")] = "",
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="Length of the rankings.")] = 20,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first events.")] = None,
    drift: Annotated[str | None, typer.Option(help="permute@0.5: half-way all items swap; permute:0.3@0.5: 30 %.")] = None,
    columns: Annotated[str, typer.Option(help="Our field=your column, comma separated, for CSV.")] = "",
    session_gap_s: Annotated[float, typer.Option(min=1, help="Without session ids: seconds that end a session.")] = 1800.0,
    max_items: Annotated[int, typer.Option(min=256, help="Items that a model knows at most.")] = 250_000,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with table and charts into this folder.")] = None,
) -> None:
    """Test, then train: predict every event from what came before it, over all items seen so far, then learn it."""
    names = _methods(method)
    _check(encoder, profile, drift, test, frozen)
    try:
        found = find_files([located(path) for path in files])
        if test is not None:
            (test,) = find_files([located(test)])
        order = Order(
            method="", files=[str(path) for path in found], test=str(test) if test else None, frozen=frozen, encoder=encoder,
            profile=profile or ("fast" if encoder == "recency" else "balanced"), max_items=max_items, k=k, seed=seed, limit=limit,
            drift=drift, columns=parse_columns(columns), gap_s=session_gap_s,
        )  # fmt: skip
    except (ReplayError, ValueError) as error:
        raise CliError(str(error)) from error
    result = _run(order, names) | {
        "dataset": " + ".join(path.name for path in [*found, *([test] if test and test not in found else [])]),
        "mode": "frozen" if frozen else "test file" if test else "prequential",
        "k": k,
        "seed": seed,
        "encoder": encoder,
        "profile": order.profile,
        "command": shlex.join(["ouzel", *(Path(word).name if Path(word).exists() else word for word in sys.argv[1:])]),
        "yardstick_gflops": gigaflops(),
    }
    console = Console()
    console.print(_table(result, k, console.width >= WIDE))
    if json_ is not None:
        json_.parent.mkdir(parents=True, exist_ok=True)
        json_.write_text(json.dumps(result, indent=1) + "\n")
    if report is not None:
        from serving.evaluation.report import render  # noqa: PLC0415  only where it is asked for

        report.mkdir(parents=True, exist_ok=True)
        (report / "index.html").write_text(render(result))
        typer.echo(f"The report is at {report / 'index.html'}")


def _methods(text: str) -> list[str]:
    names = list(METHODS) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise CliError(f"no method {', '.join(unknown) or 'named'}: there are all, {', '.join(METHODS)}")
    return list(dict.fromkeys(names))


def _check(encoder: str, profile: str, drift: str | None, test: Path | None, frozen: bool) -> None:
    if encoder not in ENCODERS:
        raise CliError(f"no encoder {encoder}: there are {', '.join(ENCODERS)}")
    if profile not in ("", "balanced", "fast"):
        raise CliError(f"no profile {profile}: there are balanced and fast")
    if frozen and test is None:
        raise CliError("--frozen needs --test FILE: what is predicted without learning")
    if drift is not None:
        try:
            Drift.parse(drift)
        except ValueError as error:
            raise CliError(str(error)) from error


def _run(order: Order, names: list[str]) -> dict[str, Any]:
    """Every method in its own process, one after the other, so that none disturbs another's time."""
    told: dict[str, Any] = {"methods": {}}
    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        whole = progress.add_task("all methods", total=len(names)) if len(names) > 1 else None
        for name in names:
            task = progress.add_task(f"{name}: reading", total=None)

            def show(done: int, of: int, name: str = name, task: Any = task) -> None:
                progress.update(task, description=name, completed=done, total=of)

            answer = _child(msgspec.structs.replace(order, method=name), show)
            told["methods"][name] = answer.pop("result")
            for line in () if "events" in told else answer["bad_examples"]:
                progress.console.print(f"skipped {line}", style="yellow")
            told |= {key: answer[key] for key in ("events", "predictions", "items", "bad")}
            progress.remove_task(task)
            if whole is not None:
                progress.advance(whole)
    return told


def _child(order: Order, show: Callable[[int, int], None]) -> dict[str, Any]:
    command = [sys.executable, "-m", "serving.evaluation.evaluating"]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=os.environ | threads
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(msgspec.json.encode(order))
        child.stdin.close()
        answer: dict[str, Any] = {}
        for line in child.stdout:
            answer = json.loads(line)
            if "done" in answer:
                show(answer["done"], answer["of"])
        child.wait()
        errors.seek(0)
        trouble = errors.read().decode(errors="replace").strip()
    if child.returncode or "result" not in answer:
        raise CliError(trouble.splitlines()[-1] if trouble else f"{order.method} ended with {child.returncode}", 1)
    return answer


def _table(result: Mapping[str, Any], k: int, wide: bool) -> Table:
    title = f"{result['dataset']}: {result['events']} events, {result['predictions']} predictions, {result['mode']}"
    table = Table(
        title=title, caption=f"speed of this machine: {result['yardstick_gflops']:.0f} GFLOP/s in a float32 matrix product"
    )
    shown = SHOWN if wide else SHOWN[:3]
    table.add_column("method", no_wrap=True)
    for name in (*(f"{metric}@{k}" for metric in shown), "events/s", "CPU s", "MB"):
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for name, found in result["methods"].items():
        half = (found.get(f"recall@{k}_high", 0) - found.get(f"recall@{k}_low", 0)) / 2
        cells = [f"{found[f'{metric}@{k}']:.4f}" for metric in shown]
        cells[0] += f" ±{half:.4f}"
        cost = (f"{found['events_per_second']:,.0f}", f"{found['cpu_seconds']:.1f}", f"{found['peak_memory_mb']:.0f}")
        table.add_row(name, *cells, *cost)
    return table
