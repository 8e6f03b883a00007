"""Partitions that are added while workers run, and the command that grows the topics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.journey import clicks, wait_done
from support.oracle import account, in_changelog, outputs, read_topic
from support.processes.running import WorkerProcess, environment, fresh_settings, produce, wait_until
from support.processes.serve_process import ServeProcess

from streams.errors import Refused
from streams.kafka.partitions import grow_topics
from streams.kafka.topic_checks import check_topics
from streams.kafka.topics import TopicsError, admin, create_topics, describe_topics
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]
NOTICED_WITHIN_S = 30.0


def add_partitions(settings: Settings, name: str, count: int) -> None:
    client = admin(settings)
    client.create_partitions({settings.topic(name): count})
    client.close()


def ouzel(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.cli", *arguments]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=60, check=False)


def partitions(settings: Settings) -> dict[str, int]:
    return {
        name.removeprefix(settings.topic_prefix): state.partitions for name, state in describe_topics(settings).items() if state
    }


def test_added_partitions_are_noticed_and_workers_go_on_after_the_topics_have_grown(
    kafka: str, tmp_path: Path, worker: MakeWorker
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)
    total = produce(settings, clicks(500, users=50))
    running, serve = worker(settings), ServeProcess(settings, tmp_path / "serve.log")
    serve.start()
    running.wait_ready()
    serve.wait_ready()
    wait_done(settings, total)
    refused = ouzel(settings, "topics", "grow", "--partitions", "6", "--yes")
    assert (refused.returncode, partitions(settings)["events"]) == (1, 4)
    assert "live members" in refused.stderr
    add_partitions(settings, "events", 6)
    for process in (running, serve):
        wait_until(lambda ended=process: not ended.alive, "the process ended", NOTICED_WITHIN_S)  # type: ignore[misc]
        assert process.process is not None
        assert process.process.returncode == 2, process.tail()
        last = json.loads(process.log.read_text().splitlines()[-1])
        assert last["event"] == "refused"
        assert "has 6 partitions, and OUZEL_PARTITIONS is 4" in last["reason"]
        assert "run `ouzel topics grow --partitions 6`" in last["reason"]
    total += produce(settings, clicks(500, users=50, seed=1))
    assert all("ouzel topics grow --partitions 6" in problem for problem in check_topics(settings))
    wait_until(lambda: ouzel(settings, "topics", "grow", "--partitions", "6", "--yes").returncode == 0, "the group is empty")
    grown = settings.model_copy(update={"partitions": 6})
    assert check_topics(grown) == []
    assert partitions(grown)["items"] == 4
    workers = [worker(grown), worker(grown.model_copy(update={"data_dir": tmp_path / "beside"}))]
    for one in workers:
        one.wait_ready()
    total += produce(settings, clicks(500, users=50, seed=2))
    wait_done(grown, total)
    for one in workers:
        assert one.stop() == 0, one.tail()
    expected, sent = account(grown, read_topic(grown, "events")), outputs(grown)
    assert in_changelog(grown) == (expected.states, expected.watermarks)
    assert set(expected.watermarks) == set(range(6))
    assert set(sent.transitions) == expected.transitions
    assert set(sent.recommendations) == expected.recommendations


def test_growing_is_done_in_one_step_can_be_repeated_and_never_shrinks(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path, partitions=2)
    with pytest.raises(TopicsError, match="missing"):
        grow_topics(settings, 3)
    create_topics(settings)
    add_partitions(settings, "dead-letters", 3)
    grown = grow_topics(settings, 3)
    assert [name.removeprefix(settings.topic_prefix) for name in grown] == ["recommendations", "sessions-changelog", "events"]
    assert set(grown.values()) == {2}
    assert grow_topics(settings, 3) == {}
    assert Counter(partitions(settings).values()) == {3: 4, 2: 1, 1: 4}
    with pytest.raises(Refused, match=r"--partitions: .* has 3 partitions, and Kafka cannot remove any"):
        grow_topics(settings, 2)
    ran = ouzel(settings, "topics", "grow", "--partitions", "3", "--yes")
    assert ran.returncode == 0
    assert ran.stdout.splitlines() == [
        "the topics have 3 partitions already",
        "now start every worker, server and tool with OUZEL_PARTITIONS=3",
    ]
