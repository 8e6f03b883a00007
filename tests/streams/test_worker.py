"""How a worker's start fails, and how its stop ends."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from structlog.testing import capture_logs
from support.fake_log import Log, follow
from support.processes.running import fresh_settings

from streams.errors import FAILED, OK, Refused
from streams.kafka import retry
from streams.kafka.connection import NoBroker
from streams.kafka.topics import TopicsError
from streams.leaving import stop_within
from streams.sessions.step import NewerState
from streams.settings import SettingsError
from streams.wire.record import Record
from streams.worker import Worker, run_worker


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
    values = [b'{"item_id": "mug"}', b"{", b"\xff", b'{"item_id": "cup", "price": "cheap", "is_hidden": 1}']
    with capture_logs() as lines:
        await worker.apply_items([Record("items", 1, 40 + n, 0, None, value, ()) for n, value in enumerate(values)])
    assert [(line["event"], line["offset"], line["reason"]) for line in lines] == [
        ("bad_item", 41, "invalid_json"), ("bad_item", 42, "not_utf8"), ("item_field_dropped", 43, "wrong_type"),
    ]  # fmt: skip
    assert worker.catalogue.get("mug") is not None
    assert worker.hidden() == {"cup"}
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in worker.telemetry.registry.collect()
        for sample in family.samples
    }
    assert samples["ouzel_refused_items_total", "invalid_json"] == samples["ouzel_refused_items_total", "not_utf8"] == 1
    assert samples["ouzel_dropped_item_fields_total", "price"] == 1
    assert samples["ouzel_catalogue_items",] == 2


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


class Restoring:
    """A `restore_newest` that fails so often, and the worker's state before its topics are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
        self.failures, self.attempts = failures, 0

        async def check(_: Worker) -> dict[str, None]:
            return {}

        monkeypatch.setattr(retry, "PATIENT_S", 0.0)
        monkeypatch.setattr(Worker, "_check", check)
        monkeypatch.setattr("streams.worker.restore_newest", self.restore)

    async def restore(self, *_: object) -> None:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise KafkaTimeoutError("late")


async def test_a_worker_waits_for_kafka_before_it_has_read_its_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    restoring = Restoring(monkeypatch, failures=3)
    follow(log := Log(("start", KafkaConnectionError("refused")), ("end_offsets", KafkaTimeoutError("late"))), monkeypatch)
    worker = Worker(fresh_settings("127.0.0.1:1", tmp_path, model="popularity"))

    async def join(*_: object) -> None:
        raise NewerState("the model was rebuilt")

    monkeypatch.setattr(worker, "_join", join)
    with pytest.raises(NewerState, match="rebuilt"):
        await asyncio.wait_for(worker.run(), 30)
    assert restoring.attempts == 4
    assert log.faults == []


async def test_sigterm_ends_a_worker_that_waits_for_kafka(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    restoring = Restoring(monkeypatch, failures=10**9)
    worker = Worker(fresh_settings("127.0.0.1:1", tmp_path, model="popularity"))
    running = asyncio.ensure_future(worker.run())
    while restoring.attempts < 3 and not running.done():
        await asyncio.sleep(0)
    assert not running.done(), running.exception()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, 10) == OK
