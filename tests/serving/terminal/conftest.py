"""Topics, files and settings whose every text would control a terminal."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import structlog
from support.inputs.poisoned import Consumer, Items, letter, recommendation, stored
from support.processes.pty_output import ENCODABLE, FILE, POISON

from serving.commands import dead_letters, model, topics, watch
from streams.kafka.topics import TopicState
from streams.settings import Settings
from streams.wire.record import Record


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory. What `main` changes in the process is restored at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUZEL_MODEL", "popularity")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler())
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 300)
    structlog.reset_defaults()
    yield tmp_path
    structlog.reset_defaults()


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Topics and files whose every text is poison."""
    refused = SimpleNamespace(offset=3, why=ENCODABLE)
    log = SimpleNamespace(refused=[refused], newest_first=lambda: [stored()])

    async def snapshots(settings: Settings) -> Any:
        return log

    monkeypatch.setattr(dead_letters, "read", lambda settings: [letter()])
    published = Record("recommendations", 0, 1, 0, b"u", msgspec.json.encode(recommendation()), ())
    monkeypatch.setattr(watch, "kafka_consumer", lambda *_, **__: Consumer([published]))
    monkeypatch.setattr(watch, "_catalogue", lambda settings: Items())
    monkeypatch.setattr(watch, "require_topics", lambda *_: None)
    monkeypatch.setattr(model, "require_topics", lambda *_: None)
    monkeypatch.setattr(model, "read_snapshot_log", snapshots)
    states = {
        name: TopicState(8, {"cleanup.policy": ENCODABLE, "retention.ms": ENCODABLE})
        for name in map(Settings().topic, ("events", "items", "model"))
    }
    monkeypatch.setattr(topics, "describe_topics", lambda settings: states | {f"x{ENCODABLE}": None})
    monkeypatch.setattr(topics, "topic_problems", lambda *_: [f"one {ENCODABLE}", f"two {ENCODABLE}"])
    monkeypatch.setattr(topics, "topic_specs", lambda *_: [])
    monkeypatch.setattr(topics, "losses", lambda *_: [ENCODABLE])
    monkeypatch.setattr(topics, "refuse_while_live", lambda *_: None)
    monkeypatch.setattr(topics, "grow_topics", lambda *_: {ENCODABLE: 3})
    key = {"id": ENCODABLE, "hash": "", "scopes": ["read"], "name": ENCODABLE, "created_at": 1}
    (folder / "keys.json").write_text(json.dumps({"version": 1, "keys": [key]}))
    (folder / FILE).write_text("nonsense")
    (folder / "rows.jsonl").write_text(
        json.dumps({ENCODABLE: ENCODABLE, "item_id": {ENCODABLE: 1}, "event_type": ENCODABLE}) + "\n"
    )
    (folder / "types.csv").write_text(f"session_id,timestamp,item_id,event_type\n1,1700000000,a,{ENCODABLE[:40].strip()}\n")
    monkeypatch.setenv("OUZEL_SERVE_KEYS", "keys.json")
    monkeypatch.setenv("OUZEL_DATA_DIR", f"data{POISON}")
