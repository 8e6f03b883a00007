"""A worker and a server on topics that somebody else made, and that Ouzel leaves as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from support.journey import clicks, wait_done
from support.oracle import account, outputs, read_topic
from support.processes.running import WorkerProcess, environment, fresh_settings, produce
from support.processes.serve_process import ServeProcess

from streams.errors import Refused
from streams.kafka.partitions import grow_topics
from streams.kafka.topic_checks import check_topics
from streams.kafka.topics import admin, create_topics, describe_topics
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]
OWN = {"events": {"cleanup.policy": "delete", "retention.ms": "123456789"}, "items": {"cleanup.policy": "compact"}}
PARTITIONS = {"events": 3, "items": 2}


@pytest.fixture
def bare(kafka: str, tmp_path: Path) -> Settings:
    """Settings that name topics of the user, which do not exist, and no number of partitions."""
    fields = fresh_settings(kafka, tmp_path).model_dump(exclude={"partitions"})
    name = fields["topic_prefix"]
    names = {
        "events_topic": f"clicks-{name}v1",
        "items_topic": f"products-{name}v3",
        "topic_names": {"recommendations": f"reco-{name}v1"},
    }
    return Settings(**fields | names)


@pytest.fixture
def settings(bare: Settings) -> Settings:
    """The same, with the topics of the user."""
    client = admin(bare)
    for name, config in OWN.items():
        topic = {"num_partitions": PARTITIONS[name], "replication_factor": 1, "configs": config}
        client.create_topics({bare.topic(name): topic})
    client.wait_for_topics([bare.topic(name) for name in OWN])
    client.close()
    return bare


def described(settings: Settings) -> Mapping[str, object]:
    """All that Kafka says about the user's topics."""
    client: KafkaAdminClient = admin(settings)
    topics = [settings.topic(name) for name in OWN]
    configs = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in topics], config_filter="all")
    found = {topic["name"]: (topic["topic_id"], len(topic["partitions"])) for topic in client.describe_topics(topics)}
    client.close()
    return {"configs": configs, "topics": found}


def ouzel(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serving.cli", *arguments]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=60, check=False)


def test_a_worker_and_a_server_use_topics_that_are_there_already(settings: Settings, tmp_path: Path, worker: MakeWorker) -> None:
    before = described(settings)
    assert ouzel(settings, "topics", "create").returncode == 0
    counts = {name: state.partitions for name, state in describe_topics(settings).items() if state}
    ours = ("events", "recommendations", "sessions-changelog", "dead-letters")
    assert {counts[settings.topic(name)] for name in ours} == {3}
    assert settings.topic("recommendations").startswith("reco-")
    running, serve = worker(settings), ServeProcess(settings, tmp_path / "serve.log")
    serve.start()
    running.wait_ready()
    serve.wait_ready()
    total = produce(settings, clicks(300, users=30))
    known = settings.model_copy(update={"partitions": 3})
    wait_done(known, total)
    expected, sent = account(known, read_topic(known, "events")), outputs(known)
    assert set(sent.recommendations) == expected.recommendations != set()
    deleted = serve.call("DELETE", "/v1/users/user-1")
    assert (deleted.status, deleted.body["partitions"]) == (202, 3)
    assert ouzel(settings, "dead-letters", "redrive", "--yes").returncode == 0
    serve.stop()
    assert running.stop() == 0, running.tail()
    assert ouzel(settings, "reset", "--yes").returncode == 0
    assert described(settings) == before


def test_a_missing_topic_of_the_user_is_not_created(bare: Settings, worker: MakeWorker) -> None:
    for arguments in (["topics", "create"], ["topics", "check"], ["serve"], ["reset", "--yes"], ["simulate", "--events", "1"]):
        ended = ouzel(bare, *arguments)
        assert ended.returncode == 2, (arguments, ended.stderr)
        assert ended.stderr.startswith("ouzel: OUZEL_EVENTS_TOPIC: topic clicks-"), arguments
        assert ended.stderr.count("\n") == 1
    running = worker(bare)
    assert running.process is not None
    assert running.process.wait(60) == 2
    assert "OUZEL_EVENTS_TOPIC: topic clicks-" in json.loads(running.log.read_text().splitlines()[-1])["reason"]
    assert [state for state in describe_topics(bare).values() if state] == []


def test_ours_follow_when_the_users_topic_has_grown(settings: Settings) -> None:
    create_topics(settings)
    client = admin(settings)
    client.create_partitions({settings.topic("events"): 5})
    client.close()
    assert all("run `ouzel topics grow --partitions 5`" in problem for problem in check_topics(settings))
    with pytest.raises(Refused, match="has 5 partitions: use --partitions 5, or first add"):
        grow_topics(settings, 6)
    assert set(grow_topics(settings, 5).values()) == {3}
    assert check_topics(settings) == []
