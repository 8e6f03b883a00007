"""The bad-input card, small and without its pace. `make bad-input` runs it in full."""

from __future__ import annotations

from pathlib import Path

from faults.bad_input import run


def test_each_bad_record_becomes_one_dead_letter_or_is_accepted_as_documented(kafka: str, tmp_path: Path) -> None:
    card = run(kafka, tmp_path, 0.01, timed=False)
    assert [row for row in card["rows"] if not row["ok"]] == []
    assert card["ok"]
    assert len(card["rows"]) > 25
