"""Faults of a worker's machine: one line that names the setting, exit code 2, and nothing lost."""

from __future__ import annotations

import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support.journey import assert_accounted, clicks, wait_done
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until
from support.small_disk import fill, small_disk

from streams.kafka.membership import is_member
from streams.kafka.topics import create_topics
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka, tmp_path, partitions=2)
    create_topics(made)
    return made


def assert_refused(worker: WorkerProcess, line: str) -> None:
    """Assert that a worker ends with code 2, and that the last line of its log says ``line``."""
    wait_until(lambda: not worker.alive, "the worker ended", 60)
    assert worker.process is not None
    assert worker.process.returncode == 2, worker.tail()
    log = worker.log.read_text()
    assert "Traceback" not in log
    assert line in log.splitlines()[-1], log


def test_a_second_worker_on_a_data_directory_and_a_metrics_port_in_use_are_refused(
    settings: Settings, worker: MakeWorker, tmp_path: Path
) -> None:
    first = worker(settings)
    first.wait_ready()
    assert_refused(worker(settings), f"ouzel: OUZEL_DATA_DIR: another worker uses {settings.data_dir}")
    beside = settings.model_copy(update={"data_dir": tmp_path / "beside"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = f"ouzel: OUZEL_METRICS_PORT: cannot listen on 127.0.0.1:{port}: Address already in use"
        assert_refused(worker(beside, OUZEL_METRICS_PORT=str(port)), line)
    produce(settings, clicks(100, users=10))
    wait_done(settings, 100)
    assert first.stop() == 0, first.tail()
    assert_accounted(settings)


def test_of_two_processes_with_one_instance_id_the_first_ends_and_the_second_goes_on(
    settings: Settings, worker: MakeWorker, tmp_path: Path
) -> None:
    produce(settings, clicks(500, users=20))
    first = worker(settings, OUZEL_INSTANCE_ID="pod-0")
    first.wait_ready()
    beside = settings.model_copy(update={"data_dir": tmp_path / "beside"})
    second = worker(beside, OUZEL_INSTANCE_ID="pod-0")
    assert_refused(first, f"OUZEL_INSTANCE_ID: another process has joined group {settings.app_id} as pod-0")
    second.wait_ready()
    produce(settings, clicks(500, users=20, seed=1))
    wait_done(settings, 1000)
    assert second.stop() == 0, second.tail()
    assert_accounted(beside, repeats=True)


def test_a_static_member_whose_session_has_timed_out_joins_again(settings: Settings, worker: MakeWorker) -> None:
    named = settings.model_copy(update={"instance_id": "pod-0"})
    running = worker(settings, OUZEL_INSTANCE_ID="pod-0")
    running.wait_ready()
    assert running.process is not None
    assert is_member(named)
    running.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: not is_member(named), "the group removed the member")
    running.process.send_signal(signal.SIGCONT)
    produce(settings, clicks(100, users=10))
    wait_done(settings, 100)
    assert running.stop() == 0, running.tail()


def test_a_worker_whose_disk_is_full_says_so_and_goes_on_once_there_is_room(
    settings: Settings, worker: MakeWorker, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        small = settings.model_copy(update={"data_dir": disk / "data"})
        running = worker(small)
        running.wait_ready()
        filler = fill(disk)
        produced = produce(small, clicks(20_000, users=2000))
        assert_refused(running, f"OUZEL_DATA_DIR: {small.data_dir} takes no writes: No space left on device")
        assert_refused(worker(small), f"ouzel: OUZEL_DATA_DIR: {small.data_dir} cannot be used: No space left on device")
        filler.unlink()
        again = worker(small)
        wait_done(small, produced)
        assert again.stop() == 0, again.tail()
        assert_accounted(small, repeats=True)


def test_a_damaged_data_directory_is_refused_and_without_it_the_sessions_are_restored(
    settings: Settings, worker: MakeWorker
) -> None:
    produce(settings, clicks(300, users=10))
    first = worker(settings)
    first.wait_ready()
    wait_done(settings, 300)
    assert first.stop() == 0, first.tail()
    for manifest in settings.data_dir.rglob("MANIFEST*"):
        manifest.write_bytes(manifest.read_bytes()[:20])
    damaged = worker(settings)
    wait_until(lambda: not damaged.alive, "the worker ended", 60)
    assert damaged.process is not None
    assert damaged.process.returncode == 2, damaged.tail()
    assert f"OUZEL_DATA_DIR: the files in {settings.data_dir} are damaged: Corruption: " in damaged.log.read_text()
    shutil.rmtree(settings.data_dir)
    again = worker(settings)
    again.wait_ready()
    produce(settings, clicks(100, users=10, seed=2))
    wait_done(settings, 400)
    assert again.stop() == 0, again.tail()
    assert_accounted(settings)
