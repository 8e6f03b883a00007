"""How a worker's start fails, and how its stop ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs
from support.running import fresh_settings

from streams.errors import FAILED, Refused
from streams.kafka.connection import NoBroker
from streams.kafka.record import Record
from streams.kafka.topics import TopicsError
from streams.sessions.step import NewerState
from streams.settings import SettingsError
from streams.worker import Worker, run_worker, stop_within


def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> int:
    """Start a worker whose `run` raises this error."""

    async def run(self: Worker) -> int:
        raise error

    monkeypatch.setattr(Worker, "run", run)
    return run_worker(fresh_settings("127.0.0.1:1", tmp_path))


def test_a_broker_lost_during_the_start_is_a_failure_in_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert start(monkeypatch, tmp_path, KafkaConnectionError("gone")) == FAILED == 70
    (line,) = [line for line in lines if line["event"] == "failed"]
    assert line["log_level"] == "error"
    assert "gone" in line["error"]


def test_an_error_that_a_restart_does_not_fix_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert start(monkeypatch, tmp_path, NewerState("version 9")) == Refused.exit_code == 2
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["refused"]


@pytest.mark.parametrize("error", [NoBroker("no answer"), TopicsError("missing"), SettingsError("wrong")])
def test_an_error_that_the_command_line_prints_in_one_line_is_raised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(type(error)):
        start(monkeypatch, tmp_path, error)


async def test_bad_items_are_counted_and_logged_and_the_others_are_applied(tmp_path: Path) -> None:
    worker = Worker(fresh_settings("127.0.0.1:1", tmp_path))
    values = [b'{"item_id": "mug"}', b"{", b"\xff"]
    with capture_logs() as lines:
        await worker.apply_items([Record("items", 1, 40 + n, 0, None, value, ()) for n, value in enumerate(values)])
    (line,) = lines
    assert line == {
        "event": "bad_items", "log_level": "warning", "topic": "items", "partition": 1, "offset": 41, "before": 43,
        "invalid_json": 1, "not_utf8": 1,
    }  # fmt: skip
    assert worker.telemetry.model.refused_items._value.get() == 2
    assert worker.catalogue.get("mug") is not None


async def test_a_stop_that_hangs_is_a_failure_even_if_it_cannot_be_cancelled() -> None:
    failures: list[BaseException] = []
    released = asyncio.Event()

    async def hang() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    with capture_logs() as lines:
        await asyncio.wait_for(stop_within(0.05, hang(), failures.append), 5)
    released.set()
    assert any("in hang" in stack for line in lines if line["event"] == "not_stopped" for stack in line["tasks"])
    assert [str(error) for error in failures] == ["not stopped within 0 s"]


async def test_a_stop_that_fails_raises_the_reason() -> None:
    async def stop() -> None:
        raise KafkaConnectionError("gone")

    with pytest.raises(KafkaConnectionError):
        await stop_within(5, stop(), lambda error: None)
