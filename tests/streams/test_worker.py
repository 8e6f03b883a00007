"""How a start that fails ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from running import fresh_settings
from structlog.testing import capture_logs

from streams.kafka import NoBroker
from streams.sessions import NewerState
from streams.settings import SettingsError
from streams.topics import TopicsError
from streams.worker import FAILED, REFUSED, Worker, run_worker


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
