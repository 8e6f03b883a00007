"""Several workers, and one that is stopped, killed or supervised; on Apache Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.journey import assert_accounted, clicks, wait_done
from support.oracle import Outputs, account, in_changelog, outputs, read_topic
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until

from serving.commands.worker import supervised
from streams.kafka.topics import create_topics
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]
SHARE = 2000
STOP_WITHIN_S = 10.0


def made(kafka: str, tmp_path: Path, **changes: object) -> Settings:
    settings = fresh_settings(kafka, tmp_path, **changes)
    create_topics(settings)
    return settings


def assert_all_done(settings: Settings) -> Outputs:
    """Assert that changelog and outputs are what the events require.

    The databases of several workers are not checked.
    """
    expected, sent = account(settings, read_topic(settings, "events")), outputs(settings)
    assert in_changelog(settings) == (expected.states, expected.watermarks)
    assert set(sent.transitions) == expected.transitions
    assert set(sent.recommendations) == expected.recommendations
    return sent


def lagging(worker: WorkerProcess) -> list[str]:
    """The partitions that a worker reports a lag of."""
    return sorted(name for name in worker.metrics() if name.startswith("ouzel_consumer_lag"))


def learners(*workers: WorkerProcess) -> list[WorkerProcess]:
    return [worker for worker in workers if worker.metrics().get("ouzel_learner") == 1]


def test_workers_join_and_leave_under_load_and_one_is_the_learner(kafka: str, tmp_path: Path, worker: MakeWorker) -> None:
    settings = made(kafka, tmp_path, session_timeout_s=3.0, max_poll_records=32)
    beside = settings.model_copy(update={"data_dir": tmp_path / "beside"})
    records = clicks(4 * SHARE, users=200)
    produce(settings, records[:SHARE])
    first = worker(settings)
    first.wait_ready()
    produce(settings, records[SHARE : 2 * SHARE])
    second = worker(beside)
    second.wait_ready()
    wait_until(lambda: len(learners(first, second)) == 1, "one learner")
    produce(settings, records[2 * SHARE : 3 * SHARE])
    (learner,) = learners(first, second)
    other = second if learner is first else first
    learner.kill()
    wait_until(lambda: learners(other) == [other], "the other one the learner")
    produce(settings, records[3 * SHARE :])
    third = worker(learner.settings)
    third.wait_ready()
    assert other.stop() == 0, other.tail()
    wait_done(settings, 4 * SHARE)
    assert third.stop() == 0, third.tail()
    assert_all_done(settings)


def test_a_hand_over_without_a_crash_repeats_nothing(kafka: str, tmp_path: Path, worker: MakeWorker) -> None:
    settings = made(kafka, tmp_path, max_poll_records=16)
    produce(settings, clicks(SHARE, users=200))
    first = worker(settings)
    first.wait_ready()
    second = worker(settings.model_copy(update={"data_dir": tmp_path / "beside"}))
    second.wait_ready()
    wait_until(lambda: len(lagging(first) + lagging(second)) == settings.partitions, "one worker for each partition")
    produce(settings, clicks(SHARE, users=200, seed=1))
    assert first.stop() == 0, first.tail()
    wait_done(settings, 2 * SHARE)
    assert second.stop() == 0, second.tail()
    sent = assert_all_done(settings)
    assert set(sent.transitions.values()) == set(sent.recommendations.values()) == {1}


def test_sigterm_under_load_ends_within_ten_seconds_and_repeats_nothing(kafka: str, tmp_path: Path, worker: MakeWorker) -> None:
    settings = made(kafka, tmp_path, max_poll_records=32)
    produced = produce(settings, clicks(12_000, users=500))
    running = worker(settings)
    running.wait_ready()
    assert running.stop(STOP_WITHIN_S) == 0, running.tail()
    assert sum(offset + 1 for offset in in_changelog(settings)[1].values()) < produced, "the worker was done before the stop"
    again = worker(settings)
    wait_done(settings, produced)
    assert again.stop(STOP_WITHIN_S) == 0, again.tail()
    assert_accounted(settings)


def test_a_supervised_worker_that_dies_is_restarted(kafka: str, tmp_path: Path, worker: MakeWorker) -> None:
    settings = made(kafka, tmp_path, session_timeout_s=3.0)
    supervisor = WorkerProcess(settings, tmp_path / "supervised.log", arguments=("--supervise",)).start()
    try:
        supervisor.wait_ready()
        produce(settings, clicks(200, users=10))
        wait_done(settings, 200)
        died = child(supervisor)
        os.kill(died, signal.SIGKILL)
        wait_until(lambda: child(supervisor) not in (0, died), "a new worker")
        produce(settings, clicks(200, users=10, seed=1))
        wait_done(settings, 400)
        last = child(supervisor)
        assert supervisor.stop(STOP_WITHIN_S) == 0, supervisor.tail()
        assert not Path(f"/proc/{last}").exists()
    finally:
        if supervisor.alive:
            os.kill(child(supervisor), signal.SIGKILL)
            supervisor.kill()
    assert_accounted(settings, repeats=True)


@pytest.mark.parametrize(("code", "starts"), [(2, 1), (0, 1), (70, 3)])
def test_a_supervisor_restarts_a_worker_that_failed_but_not_one_that_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, starts: int
) -> None:
    monkeypatch.setattr("serving.commands.worker.RESTART_AFTER_S", (0.0,))
    log = tmp_path / "starts"
    script = f"import sys; log = open({str(log)!r}, 'a+'); log.write('x'); n = log.tell(); sys.exit({code} if n < 3 else 0)"
    with signals_restored():
        assert supervised([sys.executable, "-c", script]) == (0 if code == 70 else code)
    assert log.read_text() == "x" * starts


@contextmanager
def signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def child(of: WorkerProcess) -> int:
    """The process id of the only child; 0 if there is none."""
    assert of.process is not None
    children = subprocess.run(["pgrep", "-P", str(of.process.pid)], capture_output=True, text=True, check=False).stdout.split()
    return int(children[0]) if children else 0


def test_a_sigterm_during_the_start_of_the_worker_still_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Signalled(subprocess.Popen[bytes]):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("serving.commands.worker.subprocess.Popen", Signalled)
    with signals_restored():
        assert supervised([sys.executable, "-c", "import time; time.sleep(20)"]) == -signal.SIGTERM
