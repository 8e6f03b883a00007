"""How a start that fails ends, and a stop that does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from structlog.testing import capture_logs
from support.running import fresh_settings

from streams.kafka.connection import NoBroker
from streams.kafka.topics import TopicsError
from streams.sessions.step import NewerState
from streams.settings import SettingsError
from streams.worker import FAILED, REFUSED, Worker, run_worker, stop_within


def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> int:
    """Start a worker that meets this error."""

    async def run(self: Worker) -> int:
        raise error

    monkeypatch.setattr(Worker, "run", run)
    return run_worker(fresh_settings("127.0.0.1:1", tmp_path))


def test_a_broker_lost_during_the_start_is_a_failure_in_the_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert start(monkeypatch, tmp_path, KafkaConnectionError("gone")) == FAILED
    (line,) = [line for line in lines if line["event"] == "failed"]
    assert line["log_level"] == "error"
    assert "gone" in line["error"]


def test_what_another_start_would_not_mend_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with capture_logs() as lines:
        assert start(monkeypatch, tmp_path, NewerState("version 9")) == REFUSED
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["refused"]


@pytest.mark.parametrize("error", [NoBroker("nobody"), TopicsError("missing"), SettingsError("wrong")])
def test_what_the_command_line_says_in_one_line_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    with pytest.raises(type(error)):
        start(monkeypatch, tmp_path, error)


async def test_a_stop_that_hangs_is_a_failure_even_if_it_will_not_be_cancelled() -> None:
    told: list[BaseException] = []
    let_go = asyncio.Event()

    async def hang() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    with capture_logs() as lines:
        await asyncio.wait_for(stop_within(0.05, hang(), told.append), 5)
    let_go.set()
    assert any("in hang" in stack for line in lines if line["event"] == "not_stopped" for stack in line["tasks"])
    assert [str(error) for error in told] == ["not stopped within 0 s"]


async def test_a_stop_that_fails_says_why() -> None:
    async def stop() -> None:
        raise KafkaConnectionError("gone")

    with pytest.raises(KafkaConnectionError):
        await stop_within(5, stop(), lambda error: None)
