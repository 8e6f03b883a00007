from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from streams.tools.replay import Bad, Pace, ReplayError, find_files, milliseconds, read


def test_tables_are_merged_by_event_time_and_event_ids_come_from_the_contents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("SessionId\tItemId\tTime\n1\t10\t1600000002.5\n1\t11\t1600000000\n")
    (tmp_path / "b.txt").write_text("Time\tItemId\tSessionId\n1600000001\t20\t2\n")
    lines = read(find_files([tmp_path]), {}, Bad())
    assert [(line.event["session_id"], line.event["item_id"], line.at) for line in lines] == [
        ("1", "11", 1600000000000),
        ("2", "20", 1600000001000),
        ("1", "10", 1600000002500),
    ]
    assert [line.key for line in lines] == [b"1", b"2", b"1"]
    again = read(find_files([tmp_path]), {}, Bad())
    assert [line.event["event_id"] for line in lines] == [line.event["event_id"] for line in again]
    assert len({line.event["event_id"] for line in lines}) == 3


def test_csv_needs_the_names_of_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("who,what,when\nann,mug,2023-11-14T22:13:20Z\n")
    (line,) = read([path], {"user_id": "who", "item_id": "what", "timestamp": "when"}, Bad())
    assert (line.event["user_id"], line.event["item_id"], line.at) == ("ann", "mug", 1_700_000_000_000)
    with pytest.raises(ReplayError, match="no column"):
        read([path], {}, Bad())


def test_json_lines_keep_their_fields_and_invalid_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"event_id": "x", "user_id": "u", "item_id": "i", "timestamp": 1700000000000, "price": 2}\nnope\n{}\n[1]\n')
    bad = Bad()
    (line,) = read([path], {}, bad)
    assert (line.event["event_id"], line.event["price"]) == ("x", 2)
    assert bad.count == 3
    assert bad.examples[0].startswith("e.jsonl:2: ")


def test_no_files_is_an_error(tmp_path: Path) -> None:
    for paths in ([tmp_path], [tmp_path / "none"]):
        with pytest.raises(ReplayError):
            find_files(paths)


def test_seconds_and_milliseconds() -> None:
    assert milliseconds("1600000000.25") == milliseconds(1600000000250) == 1600000000250


def test_the_rate_is_kept_without_drift() -> None:
    now = 50.0
    pace = Pace(lambda: now, rate=10)
    waits = []
    for _ in range(5):
        wait = pace.wait(0)
        waits.append(round(wait, 6))
        now += wait + 0.03  # each send takes a while
    assert waits == [0.0, 0.07, 0.07, 0.07, 0.07]


def test_the_speed_follows_event_time() -> None:
    pace = Pace(lambda: 0.0, speed=60)
    assert [pace.wait(at) for at in (1000, 61_000, 121_000)] == [0.0, 1.0, 2.0]
    assert Pace(lambda: 0.0).wait(5) == 0.0


def test_real_clicks_are_read_whole(data: Path) -> None:
    bad = Bad()
    lines = read(find_files([data / "rsc15"]), {}, bad)
    assert (len(lines), bad.count) == (83_846, 0)
    assert all(one.at <= other.at for one, other in pairwise(lines))
