"""The texts, tables and JSON of the demo."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from rich.console import Console

from serving.demo.demo import write_json
from serving.demo.tally import Counts
from serving.demo.view import Moment, disagreements, in_words, line, panel, summarise, summary_rows
from serving.state.worker_metrics import WorkerMetrics
from streams.events.catalogue import Catalogue
from streams.events.records import RankedItem, Recommendation

KEYS = [
    *("events", "interactions", "transitions", "recommendations", "dead_letters"),
    *("recall_at_20", "mrr_at_20", "popularity_recall_at_20"),
    *("freshness_p50_ms", "freshness_p99_ms", "events_per_second"),
]

MOMENT = Moment(
    source="simulated shop",
    broker="127.0.0.1:9092",
    seconds=12.3,
    done=1500,
    expected=20_000,
    events_per_second=249.6,
    lag=3,
    freshness_p50_ms=4.0,
    freshness_p99_ms=11.0,
    recall=0.4321,
    popularity_recall=0.1,
    latest="ada viewed Blue Mug. Recommended: Tea Pot [bold]",
)


def recommendation(offset: int = 3, **changes: Any) -> bytes:
    return msgspec.json.encode(
        msgspec.structs.replace(
            Recommendation(
                recommendation_id=f"ouzel.events-0-{offset}",
                user_id="ada",
                session_id=None,
                generated_at=0,
                trigger_event_id="e",
                trigger_offset=offset,
                model_version=1,
                strategy="hybrid",
                prefix=["m", "x"],
                items=[
                    RankedItem(item_id="t", score=1.0, rank=1, reason="", because_item_id="m"),
                    RankedItem(item_id="y", score=0.5, rank=2, reason="popular"),
                ],
                took_ms=1.0,
            ),
            **changes,
        )
    )


def record(offset: int, timestamp: int, value: bytes | None = None, key: bytes | None = None) -> SimpleNamespace:
    return SimpleNamespace(partition=0, offset=offset, timestamp=timestamp, value=value, key=key)


def source(offset: int) -> bytes:
    return json.dumps({"source_partition": 0, "source_offset": offset, "prefix": []}).encode()


def counted() -> Counts:
    counts = Counts()
    for offset in range(4):
        counts.take("events", record(offset, 1000 + offset * 1000))
    for offset in (0, 1, 3):
        counts.take("transitions", record(offset, 1005, source(offset)))
        counts.take("recommendations", record(offset, 1005 + offset * 1000, recommendation(offset)))
    counts.take("dead-letters", record(0, 3001, b"junk"))
    counts.take("recommendations", record(9, 3001, recommendation(-1)))
    return counts


WORKER = WorkerMetrics(
    ready=True,
    events={"accepted": 3, "dead_letter": 1, "replayed": 2},
    interactions=3,
    transitions=3,
    recommendations=3,
    dead_letters=1,
    recall=0.123456,
    mrr=0.05,
    popularity_recall=0.1,
)


def printed(thing: Any, width: int = 100) -> str:
    """The text that rich prints for an object."""
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_summary_has_exactly_its_fields_and_the_counts_of_the_records(tmp_path: Path) -> None:
    write_json(tmp_path / "out.json", summarise(counted(), WORKER))
    written = json.loads((tmp_path / "out.json").read_text())
    assert list(written) == KEYS
    assert (written["events"], written["transitions"], written["recommendations"], written["dead_letters"]) == (
        4,
        3,
        3,
        1,
    )
    assert written["recall_at_20"] == 0.1235
    assert (written["freshness_p50_ms"], written["freshness_p99_ms"]) == (5.0, 5.0)
    assert written["events_per_second"] == 1.3  # 4 events in 3.005 s
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_a_figure_that_was_not_measured_is_null(tmp_path: Path) -> None:
    write_json(tmp_path / "out.json", summarise(Counts(), WorkerMetrics()))
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["recall_at_20"] is written["freshness_p50_ms"] is written["events_per_second"] is None
    assert ("recall_at_20", "not measured") in summary_rows(summarise(Counts(), WorkerMetrics()))


def test_only_differences_are_listed() -> None:
    counts = counted()
    assert disagreements(counts, WORKER) == []
    counts.take("transitions", record(4, 1005, source(3)))
    (count, repeat) = disagreements(counts, WORKER)
    assert count == "transitions: 4 on the topic, 3 in the worker's counters"
    assert repeat == "transitions: 1 published twice"


def test_a_recommendation_in_words() -> None:
    catalogue = Catalogue()
    for item, name in (("m", "Blue Mug"), ("t", "Tea Pot")):
        catalogue.apply(item.encode(), json.dumps({"item_id": item, "item_name": name}).encode())
    assert in_words(recommendation(), catalogue) == (
        "ada viewed Blue Mug > x. Recommended: Tea Pot (because of Blue Mug); y (popular)"
    )
    assert in_words(recommendation(user_id=None, session_id="s1", prefix=[], items=[]), catalogue) == (
        "session s1 viewed nothing yet. Recommended: nothing"
    )
    assert in_words(None, catalogue) == "no recommendation yet"


def test_the_view_shows_each_figure_and_prints_names_literally() -> None:
    text = printed(panel(MOMENT))
    for figure in ("1,500 of 20,000", "250 per second, 3 waiting", "4 ms / 11 ms", "0.432", "0.100", "[bold]"):
        assert figure in text, text


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_the_view_cuts_no_figure_however_narrow_the_terminal(width: int) -> None:
    moment = replace(MOMENT, done=1_234_567, expected=20_000_000, freshness_p99_ms=12_345.0)
    lines = [line.strip("│ ") for line in printed(panel(moment), width).splitlines()[1:-1]]
    assert "…" not in "".join(lines)
    text = " ".join(lines)
    for figure in ("1,234,567", "20,000,000", "250", "4 ms", "12,345 ms", "0.432", "0.100"):
        assert figure in text, "\n".join(lines)


def test_the_line_is_one_line_and_shows_missing_figures_as_dashes() -> None:
    missing = replace(MOMENT, recall=None, freshness_p50_ms=None, expected=None)
    assert "model - popularity 0.100" in line(missing)
    assert "events 1500  250/s" in line(missing)
    assert "\n" not in line(MOMENT)
