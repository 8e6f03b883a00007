from __future__ import annotations

from pathlib import Path

from streams.schemas import schemas

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def test_the_committed_schemas_are_those_of_the_code() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == schemas(), "run: python -m streams.schemas docs/schemas"
