"""The JSON Schemas in docs/schemas agree with the code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from streams.events.records import EVENT_TYPES, Event, Item
from streams.events.schemas import RECORDS, SENT, schemas

ROOT = Path(__file__).parents[3]


def test_the_committed_schemas_agree_with_the_code() -> None:
    written = {path.name: path.read_text() for path in (ROOT / "docs" / "schemas").glob("*.json")}
    assert written == schemas(), "run: python -m streams.events.schemas"


def test_the_command_writes_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "streams.events.schemas", str(tmp_path / "new")], check=True, cwd=ROOT)
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == schemas()


def test_the_schema_of_events_says_what_users_may_send() -> None:
    event = json.loads(schemas()["event.json"])["$defs"]["Event"]
    assert set(event["properties"]) == set(Event.__struct_fields__)
    assert event["required"] == ["item_id"]
    assert [choice["required"] for choice in event["anyOf"]] == [["user_id"], ["session_id"]]
    assert event["properties"]["event_type"]["enum"] == [*EVENT_TYPES, None]
    assert set(SENT["item"]) <= set(Item.__struct_fields__)
    assert set(schemas()) == {f"{name}.json" for name in RECORDS}
