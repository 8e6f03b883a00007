"""`ouzel evaluate`: measures how well each method predicts recorded behaviour, and its cost."""

from __future__ import annotations

import json as codec
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from models.encoders.registry import ENCODERS
from models.registry import METHODS
from serving.errors import CliError
from serving.evaluation.evaluating import Order
from serving.evaluation.report import render
from serving.evaluation.yardstick import gigaflops
from serving.outputs import STDOUT, JsonToFile, print_json, require_result_file, require_writable, to_json
from serving.progress import progress_bar
from serving.recorded import (
    Columns,
    Encoding,
    Files,
    Limit,
    NoHeader,
    Reading,
    Separator,
    TimeFormat,
    TimeUnit,
    files_at,
    tell,
)
from serving.tables import print_table
from serving.terminal import say, terminal
from streams.child_command import module_command
from streams.configuration.fields import LONGEST_S, MAX_SEED
from streams.errors import Refused
from streams.tools.history import Drift
from streams.tools.recorded import Report

PAGE = "index.html"
WIDE = 130
PROFILES = ("balanced", "fast")
_CLASS = re.compile(r"^(\w+\.)*\w+: ")
SHOWN = ("recall", "mrr", "ndcg", "f1", "coverage", "long_tail", "repeat")


def register(app: typer.Typer) -> None:
    app.command("evaluate", cls=JsonToFile)(evaluate)


def evaluate(
    files: Files,
    test: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Count only predictions of the events of FILE, which is merged with the others."),
    ] = None,
    frozen: Annotated[bool, typer.Option(help="Learn from the other files, then predict --test without learning.")] = False,
    method: Annotated[
        str, typer.Option(metavar="METHOD,...", help=f"all, or some of {', '.join(METHODS)}, separated by commas.")
    ] = "hybrid",
    encoder: Annotated[
        str, typer.Option(metavar="|".join(ENCODERS), help="The encoder of the hybrid: gru is more accurate, recency is faster.")
    ] = "gru",
    profile: Annotated[
        str,
        typer.Option(
            metavar="|".join(PROFILES), help="The profile of the hybrid; by default fast for recency, balanced for gru."
        ),
    ] = "",
    k: Annotated[int, typer.Option("--k", min=1, max=100, metavar="ITEMS", help="Number of items in a ranking.")] = 20,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, metavar="NUMBER", help="Seed of the random numbers.")] = 0,
    limit: Limit = None,
    drift: Annotated[
        str | None,
        typer.Option(
            metavar="permute[:SHARE]@POINT",
            help="Make items swap roles at a point of the stream: permute@0.5 swaps all half-way, permute:0.3@0.5 swaps 30 %.",
        ),
    ] = None,
    columns: Columns = "",
    separator: Separator = "",
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    time_unit: TimeUnit = "",
    time_format: TimeFormat = "",
    session_gap_s: Annotated[
        float,
        typer.Option(
            min=1,
            max=LONGEST_S,
            metavar="SECONDS",
            help="If events have no session ids, a pause this long ends a session.",
        ),
    ] = 1800.0,
    max_items: Annotated[int, typer.Option(min=256, metavar="ITEMS", help="Most items that a model may know.")] = 250_000,
    json: Annotated[
        Path | None, typer.Option(metavar="[FILE]", help="Write the result as JSON to FILE, or print it if FILE is left out.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write a page with a table and charts to FOLDER/index.html.")
    ] = None,
) -> None:
    """Predict recorded events, and measure accuracy and cost.

    This is prequential evaluation: each event is predicted before it is learned.
    The candidates are all items seen so far.
    """
    names = _methods(method)
    _check(encoder, profile, drift, test, frozen)
    if json not in (None, STDOUT):
        require_result_file("--json", json)
    if report is not None:
        require_writable("--report", report / PAGE)
    paths = files_at(files)
    if test is not None:
        test, *others = files_at([test])
        if others:
            raise Refused(f"--test: {test.parent} is a folder of several files; name one of them")
    order = Order(
        method="", files=[str(path) for path in paths], test=str(test) if test else None, frozen=frozen, encoder=encoder,
        profile=profile or ("fast" if encoder == "recency" else "balanced"), max_items=max_items, k=k, seed=seed, limit=limit,
        drift=drift, gap_s=session_gap_s,
        reading=Reading(columns, separator, no_header, encoding, time_unit, time_format),
    )  # fmt: skip
    result = _run(order, names) | {
        "dataset": " + ".join(path.name for path in [*paths, *([test] if test and test not in paths else [])]),
        "mode": "frozen" if frozen else "test file" if test else "prequential",
        "k": k,
        "seed": seed,
        "encoder": encoder,
        "profile": order.profile,
        "command": shlex.join(["ouzel", *(Path(word).name if Path(word).exists() else word for word in sys.argv[1:])]),
        "yardstick_gflops": gigaflops(),
    }
    _print_table(result, k, terminal(err=json == STDOUT))
    if json == STDOUT:
        print_json(result)
    elif json is not None:
        _write(json, to_json(result) + "\n")
    if report is not None:
        _write(report / PAGE, render(result))
        say(f"The report is at {report / PAGE}", err=json == STDOUT)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error


def _methods(text: str) -> list[str]:
    names = list(METHODS) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        wrong = f"{', '.join(unknown)} is not a method" if unknown else "no method is named"
        raise Refused(f"--method: {wrong}; the methods are {', '.join(METHODS)}, or all")
    return list(dict.fromkeys(names))


def _check(encoder: str, profile: str, drift: str | None, test: Path | None, frozen: bool) -> None:
    if encoder not in ENCODERS:
        raise Refused(f"--encoder: {encoder} is not an encoder; the encoders are {', '.join(ENCODERS)}")
    if profile not in ("", *PROFILES):
        raise Refused(f"--profile: {profile} is not a profile; the profiles are {', '.join(PROFILES)}")
    if frozen and test is None:
        raise Refused("--frozen needs --test FILE: the events to predict without learning")
    if drift is not None:
        try:
            Drift.parse(drift)
        except ValueError as error:
            raise Refused(f"--drift: {error}") from error


def _run(order: Order, names: list[str]) -> dict[str, Any]:
    """Run each method in a process of its own, one after the other.

    So no method affects the measured time of another.
    """
    result: dict[str, Any] = {"methods": {}}
    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with progress_bar(*shown, transient=True) as progress:
        whole = progress.add_task("all methods", total=len(names)) if len(names) > 1 else None
        for name in names:
            task = progress.add_task(f"{name}: reading", total=None)

            def show(done: int, of: int, name: str = name, task: Any = task) -> None:
                progress.update(task, description=name, completed=done, total=of)

            answer = _child(msgspec.structs.replace(order, method=name), show)
            result["methods"][name] = answer.pop("result")
            if "events" not in result:
                _tell(answer)
            result |= {key: answer[key] for key in ("lines", "events", "left_out", "predictions", "items")}
            progress.remove_task(task)
            if whole is not None:
                progress.advance(whole)
    return result


def _child(order: Order, show: Callable[[int, int], None]) -> dict[str, Any]:
    command = module_command("serving.evaluation.evaluating")
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=os.environ | threads
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(to_json(msgspec.to_builtins(order), indent=None).encode())
        child.stdin.close()
        answer: dict[str, Any] = {}
        for line in child.stdout:
            answer = codec.loads(line)
            if "done" in answer:
                show(answer["done"], answer["of"])
        child.wait()
        errors.seek(0)
        output = errors.read().decode(errors="replace").strip()
    if child.returncode or "result" not in answer:
        if answer.get("refused"):
            raise Refused(answer["refused"])
        if answer.get("failed"):
            raise CliError(answer["failed"])
        raise CliError(f"{order.method} could not be evaluated: {_reason(output, child.returncode)}")
    return answer


def _reason(output: str, code: int) -> str:
    """Say why a process ended: what it wrote last, without the name of Python's exception."""
    if code == -signal.SIGKILL:
        return "its process was killed, probably for its memory: use --limit or a smaller --max-items"
    last = output.splitlines()[-1] if output else ""
    return _CLASS.sub("", last) or f"its process ended with exit status {code}"


def _tell(answer: Mapping[str, Any]) -> None:
    """Print what became of the lines, and the first of those that were left out."""
    left_out, dropped = Counter(answer["left_out"]), Counter(answer["dropped"])
    tell(Report(answer["lines"], answer["events"], left_out, answer["examples"], answer["unmapped"], dropped, answer["of_zero"]))


def _print_table(result: Mapping[str, Any], k: int, console: Console) -> None:
    title = f"{result['dataset']}: {result['events']} events, {result['predictions']} predictions, {result['mode']}"
    caption = f"speed of a float32 matrix product on this machine: {result['yardstick_gflops']:.0f} GFLOP/s"
    shown = SHOWN if console.width >= WIDE or not console.is_terminal else SHOWN[:3]
    figures = [name.replace("_", " ") for name in (*(f"{metric}@{k}" for metric in shown), "events/s", "CPU s", "MB")]
    rows = [_row(name, measured, shown, k) for name, measured in result["methods"].items()]
    print_table(("method", *figures), rows, console, numbers=figures, title=title, caption=caption)


def _row(name: str, measured: Mapping[str, Any], shown: Sequence[str], k: int) -> list[str]:
    half = (measured.get(f"recall@{k}_high", 0) - measured.get(f"recall@{k}_low", 0)) / 2
    cells = [f"{measured[f'{metric}@{k}']:.4f}" for metric in shown]
    cells[0] += f" ±{half:.4f}"
    cost = (f"{measured['events_per_second']:,.0f}", f"{measured['cpu_seconds']:.1f}", f"{measured['peak_memory_mb']:.0f}")
    return [name, *cells, *cost]
