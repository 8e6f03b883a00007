"""Workers and tools with exactly the rights in docs/operations.md, and with one less."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from support.journey import clicks, wait_done
from support.logins.authorizing import USERS, AuthorizingBroker, Right, documented
from support.models_streams import ring
from support.oracle import account, outputs, read_topic
from support.processes.intake_process import IntakeProcess, create_source, send
from support.processes.running import WorkerProcess, environment, fresh_settings, produce, wait_until
from support.processes.serve_process import ServeProcess

from models.snapshot import take
from streams.events.records import Recommendation
from streams.kafka.connection import client_config
from streams.kafka.permissions import not_allowed
from streams.kafka.topic_checks import topic_problems
from streams.kafka.topics import admin, create_topics, describe_topics
from streams.learning.model import new_model
from streams.learning.model_log import to_records
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]
FAST = {"model": "hybrid", "encoder": "recency", "profile": "fast", "snapshot_every_s": 0.3, "partitions": 2}
DELIVERIES = ("leased", "exactly_once")


@pytest.fixture(scope="module")
def guard(kafka_home: Path) -> Iterator[AuthorizingBroker]:
    """A broker with users who have no rights yet."""
    with AuthorizingBroker(kafka_home) as broker:
        assert isinstance(broker, AuthorizingBroker)
        yield broker


@pytest.fixture(scope="module")
def user() -> Callable[[], str]:
    """A function that returns a user without rights, another one at each call."""
    numbers = count()
    return lambda: USERS[next(numbers)]


@pytest.fixture
def settings(guard: AuthorizingBroker, tmp_path: Path) -> Settings:
    """The administrator's settings, with topics created."""
    made = fresh_settings(guard.bootstrap, tmp_path, **FAST)
    create_topics(made)
    return made


def as_user(settings: Settings, guard: AuthorizingBroker, user: str) -> Settings:
    """The settings with the user's login."""
    changes = {name.removeprefix("OUZEL_").lower(): value for name, value in guard.login(user).items()}
    return Settings(**settings.model_dump() | changes)


def of_worker(settings: Settings) -> list[Right]:
    """The documented rights of a worker with this delivery."""
    rights = documented("worker", settings)
    return rights if settings.delivery == "exactly_once" else [right for right in rights if right.kind != "TRANSACTIONALID"]


def first_offset(settings: Settings, name: str) -> int:
    consumer = KafkaConsumer(**client_config(settings), group_id=None)
    tp = TopicPartition(settings.topic(name), 0)
    offset: int = consumer.beginning_offsets([tp])[tp]
    consumer.close()
    return offset


def assert_exactly(rights: list[Right], decisions: dict[Right, bool], perhaps: str = "") -> None:
    """Assert that the documented rights are those that a user requested, and that all were granted.

    ``perhaps``: the rights to this topic may be documented and not requested. A client that only
    asks for the end of the topic may fetch records before it is closed.
    """
    assert decisions, "the broker logged no decision"
    refused = [right for right, allowed in decisions.items() if not (allowed and any(own.covers(right) for own in rights))]
    assert refused == [], "requested, but refused or not documented"
    unused = [own for own in rights if not any(own.operation == right.operation and own.covers(right) for right in decisions)]
    assert [own for own in unused if own.name != perhaps] == [], "documented, but not requested"


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_worker_needs_exactly_the_documented_rights(
    guard: AuthorizingBroker, user: Callable[[], str], settings: Settings, worker: MakeWorker, delivery: str
) -> None:
    settings, name = Settings(**settings.model_dump() | {"delivery": delivery}), user()
    rights = of_worker(settings)
    guard.grant(name, rights)
    for _ in range(2):  # the second worker recovers its sessions and its model
        running, before = worker(settings, **guard.login(name)), first_offset(settings, "model")
        running.wait_ready()
        wait_until(partial(_removes_snapshots, settings, before), "old snapshots removed", every_s=0.2)
        wait_done(settings, len(read_topic(settings, "events")))
        assert running.stop() == 0, running.tail()
        shutil.rmtree(settings.data_dir)
    assert_exactly(rights, guard.decisions(name))
    expected, sent = account(settings, read_topic(settings, "events")), outputs(settings)
    assert set(sent.recommendations) == expected.recommendations
    assert set(sent.dead_letters) == expected.dead_letters != set()


def _removes_snapshots(settings: Settings, first: int) -> bool:
    """Send more events to learn from; whether the snapshot at offset ``first`` has been removed.

    A worker removes a snapshot once it has written two more.
    """
    produce(settings, [*clicks(40, users=20, seed=time.monotonic_ns()), (b"ann", b"no event")])
    return first_offset(settings, "model") > first


def test_each_right_that_a_worker_lacks_is_reported_at_its_start(
    guard: AuthorizingBroker, user: Callable[[], str], settings: Settings
) -> None:
    for lacking in of_worker(settings):
        name = user()
        guard.grant(name, [right for right in of_worker(settings) if right != lacking])
        own = as_user(settings, guard, name)
        states = describe_topics(own)
        problems = topic_problems(own, states) or not_allowed(own, states)
        told = lacking.operation in problems[0] or "not visible to this user" in problems[0]
        assert told, (lacking, problems)
        assert all(lacking.name.removesuffix("*") in problem for problem in problems), (lacking, problems)
        assert lacking.name.endswith("*") or len(problems) == 1, (lacking, problems)


@pytest.mark.parametrize(("delivery", "kind"), [("leased", "GROUP"), ("exactly_once", "TRANSACTIONALID")])
def test_a_worker_without_a_right_exits_with_2_and_says_why(
    guard: AuthorizingBroker, user: Callable[[], str], settings: Settings, worker: MakeWorker, delivery: str, kind: str
) -> None:
    settings, name = Settings(**settings.model_dump() | {"delivery": delivery}), user()
    guard.grant(name, [right for right in of_worker(settings) if right.kind != kind])
    running = worker(settings, **guard.login(name))
    wait_until(lambda: not running.alive, "the worker ended")
    assert running.process is not None
    assert running.process.returncode == 2, running.tail()
    log = running.log.read_text()
    assert "this user may not" in log
    assert "docs/operations.md" in log
    assert "Traceback" not in log


def test_an_administrator_lacks_no_right(settings: Settings) -> None:
    assert not_allowed(settings, describe_topics(settings)) == []


def test_serve_needs_exactly_the_documented_rights(
    guard: AuthorizingBroker, user: Callable[[], str], settings: Settings, tmp_path: Path
) -> None:
    name, rights = user(), documented("serve", settings)
    guard.grant(name, rights)
    with some_of_everything(settings, without=()) as again:
        again()
        serve = ServeProcess(settings, tmp_path / "serve.log", **guard.login(name))
        serve.start()
        try:
            serve.wait_ready()
            assert serve.call("GET", "/v1/recommendations/ann").body["recommendation_id"] == "r"
            assert serve.call("POST", "/v1/events", {"user_id": "ann", "item_id": "mug"}).status == 202
            assert serve.call("PUT", "/v1/items/cup", {"item_id": "cup"}).status == 200
            assert serve.stop() == 0
        finally:
            if serve.alive:
                serve.kill()
    assert_exactly(rights, guard.decisions(name))


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_an_intake_needs_exactly_the_documented_rights_and_names_each_that_it_lacks(
    guard: AuthorizingBroker, user: Callable[[], str], settings: Settings, tmp_path: Path, delivery: str
) -> None:
    source, name = f"shop-{settings.topic_prefix}clicks", user()
    create_source(settings, source, 1)
    send(settings.broker, source, [(None, b'{"user_id": "ann", "item_id": "mug"}', 0), (None, b"no event", 0)])
    rights = [*documented("intake", settings), Right("TOPIC", source, "READ")]
    if delivery == "leased":
        rights = [right for right in rights if right.kind != "TRANSACTIONALID"]
    guard.grant(name, rights)
    running = IntakeProcess(settings, tmp_path / "intake.log", [{"topic": source}], **guard.login(name), OUZEL_DELIVERY=delivery)
    running.start()
    wait_until(lambda: running.read() == 2 or not running.alive, "records read")
    assert running.stop() == 0, running.tail()
    assert_exactly(rights, guard.decisions(name))
    for number, lacking in enumerate(rights if delivery == "leased" else rights[-2:-1]):
        other = user()
        guard.grant(other, [right for right in rights if right != lacking])
        log = tmp_path / f"intake-{number}.log"
        refused = IntakeProcess(settings, log, [{"topic": source}], **guard.login(other), OUZEL_DELIVERY=delivery)
        refused.start()
        wait_until(partial(_has_ended, refused), "the intake ended")
        assert refused.process is not None
        assert refused.process.returncode == 2, refused.tail()
        (line,) = refused.errors()
        assert lacking.name.removesuffix("*") in line, lacking


def _has_ended(intake: IntakeProcess) -> bool:
    return not intake.alive


TOOLS = {
    "topics": ["topics", "create"],
    "topics grow": ["topics", "grow", "--partitions", "3", "--yes"],
    "replay": ["replay", "events.jsonl"],
    "simulate": ["simulate", "--events", "20", "--rate", "0"],
    "watch": ["watch", "--count", "1"],
    "dead-letters": ["dead-letters", "redrive", "--yes"],
    "model export": ["model", "export", "out.safetensors"],
    "model import": ["model", "import", "model.safetensors"],
    "reset": ["reset", "--yes"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_needs_exactly_the_documented_rights(
    guard: AuthorizingBroker, user: Callable[[], str], settings: Settings, tmp_path: Path, tool: str
) -> None:
    name, rights = user(), documented(tool, settings)
    guard.grant(name, rights)
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(value for _, value in clicks(5, users=2)))
    model = new_model(settings)
    model.learn(ring(20))
    (tmp_path / "model.safetensors").write_bytes(take(settings.model, model))
    with some_of_everything(settings) as again:
        command = [sys.executable, "-m", "serving.cli", *TOOLS[tool]]
        running = subprocess.Popen(command, cwd=tmp_path, env=environment(settings) | guard.login(name), stderr=subprocess.PIPE)
        wait_until(lambda: again() or running.poll() is not None, "the tool ended", every_s=0.3)
    assert running.stderr is not None
    assert running.wait() == 0, running.stderr.read()
    running.stderr.close()
    assert_exactly(rights, guard.decisions(name), settings.topic("model-updates") if tool == "model import" else "")


@contextmanager
def some_of_everything(settings: Settings, without: tuple[str, ...] = ("learner",)) -> Iterator[Callable[[], None]]:
    """Fill the topics and commit an offset, so that every tool has something to do.

    The topics ``without`` are deleted. Yields a function that sends one more recommendation.
    """
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    chunks, manifest = to_records(
        take(settings.model, new_model(settings)), "one", transitions_offset=0, epoch=0, steps=0, created_at=0
    )
    for key, value, headers in [*chunks, manifest]:
        producer.send(settings.topic("model"), value, key, headers)
    producer.send(settings.topic("transitions"), b"none of ours")
    producer.send(settings.topic("dead-letters"), b"no event", b"ann", [("reason", b"invalid_json")])
    producer.send(settings.topic("items"), b'{"item_id": "mug"}', b"mug")
    producer.flush()
    client = admin(settings)
    for topic in without:  # so that `ouzel topics create` has one to create
        client.delete_topics([settings.topic(topic)])
    client.close()
    consumer = KafkaConsumer(**client_config(settings), group_id=settings.app_id)
    consumer.assign([TopicPartition(settings.topic("events"), 0)])
    consumer.commit({TopicPartition(settings.topic("events"), 0): OffsetAndMetadata(0, "", -1)})
    consumer.close()
    recommendation = Recommendation(
        recommendation_id="r", user_id="ann", session_id=None, generated_at=0, trigger_event_id="e", trigger_offset=0,
        model_version=0, strategy="popularity", prefix=[], items=[], took_ms=0.0,
    )  # fmt: skip

    def again() -> None:
        producer.send(settings.topic("recommendations"), msgspec.json.encode(recommendation), b"ann").get(30)

    yield again
    producer.close()
