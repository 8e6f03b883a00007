"""Files give the transitions that a worker would make of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.evaluation.stream import Stream
from serving.recorded import Reading
from streams.sessions.step import Limits
from streams.settings import Settings
from streams.tools.history import Drift, read_stream
from streams.tools.recorded import Report

GAP_MS = 1_800_000
SPRING = 1_400_000_000
CLICKS = [("a", 100, "x"), ("b", 101, "y"), ("a", 103, "y"), ("a", 102, "z"), ("b", 101.5, "x"), ("a", 110, "x")]


def file(folder: Path, name: str, clicks: list[tuple[str, float, str]]) -> Path:
    path = folder / name
    path.write_text("SessionId\tTime\tItemId\n" + "".join(f"{s}\t{SPRING + t}\t{i}\n" for s, t, i in clicks))
    return path


def read(*paths: Path, report: Report | None = None, columns: str = "", **options: object) -> Stream:
    reader = Reading(columns).reader(Settings())
    return read_stream(list(paths), reader, report or Report(), limits=Limits(GAP_MS, 0), **options)  # type: ignore[arg-type]


def test_events_are_ordered_by_time_and_have_their_session_as_prefix(tmp_path: Path) -> None:
    stream = read(file(tmp_path, "a.txt", CLICKS))
    assert stream.transitions.item == ["x", "y", "x", "z", "y", "x"]
    assert stream.transitions.prefix == [[], [], ["y"], ["x"], ["x", "z"], ["x", "z", "y"]]
    assert stream.session == [0, 1, 1, 0, 0, 0]
    assert stream.transitions.length == [0, 0, 1, 1, 2, 3]
    assert stream.transitions.dwell == [-1, -1, -1, -1, 2, 1]


def test_one_of_several_files_is_marked_as_the_test(tmp_path: Path) -> None:
    first, second = file(tmp_path, "a.txt", CLICKS[:3]), file(tmp_path, "b.txt", [("c", 102.5, "x"), ("c", 120, "y")])
    for stream in (read(first, test=second), read(first, second, test=second)):
        assert stream.transitions.item == ["x", "y", "x", "y", "y"]
        assert stream.of_test_file == [False, False, True, False, True]


def test_a_duplicate_event_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    line = '{"user_id": "u", "item_id": "%s", "timestamp": %d, "event_id": "%s"}\n'
    path.write_text(line % ("a", SPRING, "1") + line % ("a", SPRING, "1") + line % ("b", SPRING + 1, "2") + "{}\n")
    report = Report()
    stream = read(path, report=report)
    assert stream.transitions.item == ["a", "b"]
    assert (report.left_out.total(), len(report.examples)) == (1, 1)


def test_users_without_session_ids_start_a_session_after_the_gap(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(f"who,what,when\nu,a,{SPRING}\nu,b,{SPRING + 100}\nu,c,{SPRING + 9000}\n")
    stream = read(path, columns="user_id=who,item_id=what,timestamp=when")
    assert stream.transitions.prefix == [[], ["a"], []]
    assert stream.session == [0, 0, 1]


def test_a_drift_swaps_items_in_the_later_events_only(tmp_path: Path) -> None:
    clicks = [("s", 100 + n, f"i{n % 50}") for n in range(200)]
    path = file(tmp_path, "a.txt", clicks)
    plain, moved = read(path), read(path, drift=Drift.parse("permute@0.5"), seed=1)
    assert moved.transitions.item[:100] == plain.transitions.item[:100]
    changed = sum(a != b for a, b in zip(moved.transitions.item[100:], plain.transitions.item[100:], strict=True))
    assert changed > 80
    assert sorted(set(moved.transitions.item[100:])) == sorted(set(plain.transitions.item)), "no item is lost"
    some = read(path, drift=Drift.parse("permute:0.3@0.5"), seed=1)
    assert 0 < sum(a != b for a, b in zip(some.transitions.item, plain.transitions.item, strict=True)) <= 60
    assert read(path, limit=10).transitions.item == plain.transitions.item[:10]


@pytest.mark.parametrize("text", ["", "permute", "permute@2", "permute@", "permute:2@0.5", "shuffle@0.5", "permute@0.5x"])
def test_an_invalid_drift_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a drift"):
        Drift.parse(text)
