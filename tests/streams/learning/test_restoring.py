"""Whatever fails while a snapshot is restored, the older one is used, and one line says why."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from structlog.testing import capture_logs
from support.models_streams import learned, ring

from models import snapshot
from models.registry import build
from models.snapshot import FORMAT, Frozen, encode, freeze
from serving.state.experts import newest_panel
from serving.state.telemetry import ServingTelemetry
from streams.learning.model import new_model
from streams.learning.model_log import to_records
from streams.learning.snapshot_log import SnapshotLog
from streams.learning.snapshots import restore_from
from streams.observing.telemetry import Telemetry
from streams.settings import Settings
from streams.wire.record import Record

SETTINGS = Settings(metrics_port=0, model="markov", max_items=256)


def intact() -> Frozen:
    model = build("markov", 0, max_items=256)
    learned(model, ring(60, items=20))
    return freeze("markov", model)


INTACT = intact()


def without(name: str) -> bytes:
    return encode(INTACT._replace(arrays={key: array for key, array in INTACT.arrays.items() if key != name}))


def edited(**arrays: Callable[[Any], Any]) -> bytes:
    """The snapshot with other arrays: each function gets a copy. "__" stands for a dot."""
    changed = {(key := name.replace("__", ".")): change(INTACT.arrays[key].copy()) for name, change in arrays.items()}
    return encode(INTACT._replace(arrays=INTACT.arrays | changed))


def put(place: Any, value: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[place] = value
        return array

    return change


def described(config: str) -> bytes:
    text = f'{{"format": "{FORMAT}", "version": 1, "model": "markov", "sha256": "x", "config": {config}}}'
    return save(dict(INTACT.arrays), {FORMAT: text})


CONFIG = json.dumps(INTACT.config)[:-1]
BAD: dict[str, tuple[bytes, str]] = {
    "an array is missing": (without("memory.rows.used"), r"the array (memory\.)?rows\.used is missing"),
    "a kernel would write far outside": (edited(memory__rows__item=put((0, 0), 10**9)), "rows.item has values"),
    "its rows claim a terabyte": (edited(memory__rows__used=lambda _: np.zeros(10**6, np.int32)), "has .* rows, expected"),
    "a count is not a number": (edited(memory__rows__weight=put((0, 0, 0), np.nan)), "not finite"),
    "a type is wrong": (edited(memory__rows__used=lambda array: array.astype(np.float32)), "expected <i4"),
    "its options nest deeply": (described(CONFIG + ', "x": ' + "[" * 900 + "]" * 900 + "}"), "its header cannot be read"),
    "its options have a long number": (described(CONFIG + ', "x": ' + "9" * 5000 + "}"), "its header cannot be read"),
    "it is of another model": (encode(INTACT._replace(config=INTACT.config | {"seed": 7})), "of another model"),
    "its hash is wrong": (described(CONFIG + "}"), "do not match the hash"),
    "it is no snapshot": (b"[" * 200_000, "not a model snapshot"),
    "it is empty": (b"", "not a model snapshot"),
}


def log_with(newer: bytes) -> SnapshotLog:
    """Two snapshots: an intact one, and one that is further in the log."""
    log = SnapshotLog()
    offset = 0
    for name, data, at in (("older", encode(INTACT), 5), ("newer", newer, 8)):
        chunks, manifest = to_records(data, name, transitions_offset=at, epoch=1, steps=3, created_at=0)
        for key, value, headers in (*chunks, manifest):
            log.add(Record("model", 0, offset, 0, key, value, tuple(headers)))
            offset += 1
    return log


def by_a_worker(log: SnapshotLog) -> tuple[str, float]:
    """The snapshot that a worker uses, and how many it refused according to its metric."""
    telemetry = Telemetry()
    restored = asyncio.run(restore_from(log, SETTINGS, new_model(SETTINGS), telemetry))
    assert restored is not None
    assert restored.model.vocabulary_size == 19
    return restored.manifest.snapshot, telemetry.model.refused_snapshots._value.get()


def by_a_server(log: SnapshotLog) -> tuple[str, float]:
    telemetry = ServingTelemetry()
    panel, manifest = asyncio.run(newest_panel(log, SETTINGS, telemetry))
    assert panel is not None
    assert manifest is not None
    return manifest.snapshot, telemetry.refused_records.labels("model")._value.get()


def reasons(lines: Sequence[Any]) -> list[str]:
    return [line["reason"] for line in lines if line["event"] == "snapshot_refused"]


@pytest.mark.parametrize("reader", [by_a_worker, by_a_server])
@pytest.mark.parametrize("bad", BAD)
def test_a_snapshot_that_cannot_be_used_is_refused_and_the_older_one_is_used(
    reader: Callable[[SnapshotLog], tuple[str, float]], bad: str
) -> None:
    data, reason = BAD[bad]
    if reader is by_a_server and bad == "it is of another model":
        return  # a server uses the counts of any model
    with capture_logs() as lines:
        assert reader(log_with(data)) == ("older", 1.0)
    (why,) = reasons(lines)
    assert why.startswith("snapshot newer: ")
    assert re.search(reason, why), why
    assert len(why) < 300
    assert "\n" not in why


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep\nand in two lines"), KeyError("x"), OverflowError("y")])
@pytest.mark.parametrize("reader", [by_a_worker, by_a_server])
def test_any_error_of_reading_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, reader: Callable[[SnapshotLog], tuple[str, float]], error: Exception
) -> None:
    load, calls = snapshot.load, iter([error])

    def failing(data: bytes) -> Any:
        for once in calls:
            raise once
        return load(data)

    monkeypatch.setattr(snapshot, "load", failing)
    with capture_logs() as lines:
        assert reader(log_with(encode(INTACT))) == ("older", 1.0)
    (why,) = reasons(lines)
    assert "\n" not in why
