"""The bad-input card with a small bot and a small flood. `make bad-input` is all of it."""

from __future__ import annotations

from pathlib import Path

from faults.bad_input import run


def test_each_bad_record_is_one_dead_letter_or_a_documented_acceptance(kafka: str, tmp_path: Path) -> None:
    told = run(kafka, tmp_path, 0.01)
    assert [row for row in told["rows"] if not row["ok"]] == []
    assert told["ok"]
    assert len(told["rows"]) > 25
