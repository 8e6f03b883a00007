"""The command-line tools, run as a user runs them, on a broker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaProducer
from support.journey import clicks, wait_done
from support.oracle import in_changelog, outputs, read_topic
from support.processes.running import WorkerProcess, environment, fresh_settings, produce, wait_until

from streams.events.records import RankedItem, Recommendation
from streams.kafka.topics import create_topics
from streams.settings import Settings

NO_BROKER = "ouzel: no broker answers at 127.0.0.1:1: "


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka, tmp_path, partitions=2)
    create_topics(made)
    return made


def ouzel(settings: Settings, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [sys.executable, "-m", "serving.cli", *arguments]
    env = {**environment(settings), "COLUMNS": "200", **extra}
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)


def started(settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serving.cli", *arguments]
    return subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def event_ids(settings: Settings) -> Counter[str]:
    return Counter(json.loads(record.value)["event_id"] for record in read_topic(settings, "events"))


def work(settings: Settings, folder: Path, events: int) -> None:
    """Run a worker until so many events are processed."""
    worker = WorkerProcess(settings, folder / "worker.log").start()
    worker.wait_ready()
    wait_done(settings, events)
    assert worker.stop() == 0, worker.tail()


def test_dead_letters_are_listed_shown_and_sent_again_after_the_mapping_is_corrected(settings: Settings, tmp_path: Path) -> None:
    theirs = [(b"ann", b'{"uid": "ann", "sku": "a", "ts": 1790000000000}'), (b"bob", b"{nonsense")]
    work(settings, tmp_path, produce(settings, theirs))
    listed = ouzel(settings, "dead-letters", "list")
    assert listed.returncode == 0
    assert "2 dead letters" in listed.stdout
    assert settings.topic("events") in listed.stdout
    assert "missing_field 1" in listed.stdout
    described = json.loads(
        ouzel(settings, "dead-letters", "list", "--json", "--broker", settings.broker, OUZEL_BROKER="a:1").stdout
    )
    assert sorted(one["reason"] for one in described) == ["invalid_json", "missing_field"]
    assert {one["topic"] for one in described} == {settings.topic("events")}
    letter = next(r for r in read_topic(settings, "dead-letters") if r.key == b"ann")
    shown = ouzel(settings, "dead-letters", "show", f"{letter.partition}:{letter.offset}")
    assert "reason: missing_field" in shown.stdout
    assert '"sku": "a"' in shown.stdout
    unknown = "ouzel: there is no dead letter 0:999; `ouzel dead-letters list` prints them as partition:offset\n"
    ran = ouzel(settings, "dead-letters", "show", "0:999")
    assert (ran.returncode, ran.stderr) == (1, unknown)
    ran = ouzel(settings, "dead-letters", "redrive", "--letter", "0:999", "--yes")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", unknown)
    assert ouzel(settings, "dead-letters", "redrive", "--reason", "missing_field").returncode != 0, "not confirmed"
    sent = ouzel(settings, "dead-letters", "redrive", "--reason", "missing_field", "--yes")
    assert (sent.returncode, sent.stdout) == (0, "sent 1\n")
    corrected = settings.model_copy(update={"field_mapping": {"user_id": "uid", "item_id": "sku", "timestamp": "ts"}})
    work(corrected, tmp_path, 3)
    done = outputs(settings)
    assert (len(done.recommendations), len(done.dead_letters)) == (1, 2)


def test_watch_prints_the_recommendations_of_one_user_and_skips_bad_records(settings: Settings, tmp_path: Path) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    producer.send(settings.topic("items"), key=b"mug", value=b'{"item_id": "mug", "item_name": "Blue mug"}').get(10)
    worker = WorkerProcess(settings, tmp_path / "worker.log").start()
    worker.wait_ready()
    watching = started(settings, "watch", "ann", "--count", "1")
    click = {user: json.dumps({"user_id": user, "item_id": "mug"}).encode() for user in ("ann", "bob")}

    def ended() -> bool:  # the watcher does not see what is published before it listens, so click again
        producer.send(settings.topic("recommendations"), key=b"ann", value=b'{"user_id": "\xff"}')
        for user, value in click.items():
            producer.send(settings.topic("events"), key=user.encode(), value=value)
        return watching.poll() is not None

    wait_until(ended, "the watcher ends", every_s=0.3)
    out, errors = watching.communicate()
    producer.close()
    assert worker.stop() == 0
    assert (watching.returncode, errors) == (0, "")
    assert out.startswith("ann saw")
    assert "Blue mug" in out
    assert "bob" not in out


def test_watch_prints_each_recommendation_as_one_line_of_json(settings: Settings) -> None:
    watching = started(settings, "watch", "ann", "--count", "1", "--json")
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    item = RankedItem("pot", 0.5, 1, "markov", "mug")
    recommendation = Recommendation(
        recommendation_id="ouzel.events-0-1", user_id="ann", session_id=None, generated_at=1_790_000_000_000,
        trigger_event_id="e", trigger_offset=1, model_version=3, strategy="hybrid", prefix=["mug"], items=[item], took_ms=1.5,
    )  # fmt: skip
    published = msgspec.json.encode(recommendation)

    def ended() -> bool:
        producer.send(settings.topic("recommendations"), key=b"ann", value=published)
        producer.flush()
        return watching.poll() is not None

    wait_until(ended, "the watcher ends", every_s=0.3)
    out, errors = watching.communicate()
    producer.close()
    assert (watching.returncode, errors, out.count("\n")) == (0, "", 1)
    assert json.loads(out) == json.loads(published)


def test_reset_deletes_the_sessions_but_not_while_a_worker_runs(settings: Settings, tmp_path: Path) -> None:
    produced = produce(settings, clicks(50, users=5))
    worker = WorkerProcess(settings, tmp_path / "worker.log").start()
    worker.wait_ready()
    wait_done(settings, produced)
    refused = ouzel(settings, "reset", "--yes")
    assert refused.returncode == 1
    assert "live members" in refused.stderr
    assert worker.stop() == 0
    assert ouzel(settings, "reset").returncode == 1, "not confirmed"
    assert in_changelog(settings)[1]
    assert ouzel(settings, "reset", "--yes").returncode == 0
    assert in_changelog(settings) == ({}, {})
    assert not Path(settings.data_dir).exists()
    work(settings, tmp_path, produced)
    assert set(outputs(settings).transitions.values()) == {2}, "every event was read again"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A file of 600 clicks."""
    path = tmp_path / "clicks.txt"
    lines = [f"{number % 40 + 1}\t{1_700_000_000 + number}\t{number % 7}\n" for number in range(600)]
    path.write_text("SessionId\tTime\tItemId\n" + "".join(lines))
    return path


@pytest.mark.parametrize(
    "command",
    [["replay", "FILE"], ["simulate", "--events", "3"], ["watch"], ["serve"], ["dead-letters", "list"], ["model", "inspect"]],
    ids=lambda c: c[0],
)
def test_a_tool_refuses_a_missing_topic_and_does_not_create_it(
    kafka: str, tmp_path: Path, recorded: Path, command: list[str]
) -> None:
    ran = ouzel(fresh_settings(kafka, tmp_path), *(str(recorded) if word == "FILE" else word for word in command))
    assert ran.returncode == 2
    assert "missing or not visible to this user; `ouzel topics create` creates the missing topics" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_replay_resumes_where_it_stopped(settings: Settings, recorded: Path, number: signal.Signals) -> None:
    first = started(settings, "replay", str(recorded), "--rate", "60")
    wait_until(lambda: len(read_topic(settings, "events")) > 50, "some are sent", every_s=0.1)
    first.send_signal(number)
    _, errors = first.communicate(timeout=20)
    assert first.returncode == 130
    sent = len(read_topic(settings, "events"))
    assert 50 < sent < 600
    assert f"stopped after {sent} events" in errors
    again = ouzel(settings, "replay", str(recorded))
    assert again.stdout == f"replayed {600 - sent} events\n"
    assert len(event_ids(settings)) == len(read_topic(settings, "events")) == 600
    finished = ouzel(settings, "replay", str(recorded))
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith("already done: 600 of 600 events were sent before")
    assert "--restart" in finished.stdout
    assert len(read_topic(settings, "events")) == 600


def test_a_replay_may_be_limited_and_may_loop(settings: Settings, recorded: Path) -> None:
    assert ouzel(settings, "replay", str(recorded), "--limit", "10", "--restart").stdout == "replayed 10 events\n"
    assert ouzel(settings, "replay", str(recorded), "--limit", "10").stdout.startswith("already done: 10 of 600 events")
    ran = ouzel(settings, "replay", str(recorded), "--loop", "--limit", "1300")
    assert ran.stdout == "replayed 1300 events\n", ran.stderr
    ids = event_ids(settings)
    assert len(ids) == 1300, "each round has its own event ids"
    assert sum(ids.values()) == 1310


def test_the_simulated_shop_describes_its_items(settings: Settings) -> None:
    assert ouzel(settings, "simulate", "--events", "300", "--rate", "0").stdout == "simulated 300 events\n"
    items = {json.loads(record.value)["item_id"]: json.loads(record.value) for record in read_topic(settings, "items")}
    events = [json.loads(record.value) for record in read_topic(settings, "events")]
    assert len(events) == 300
    assert {event["item_id"] for event in events} <= set(items)
    assert all(item["item_name"] and item["categories"] and item["price"] > 0 for item in items.values())


@pytest.mark.slow
def test_without_a_broker_every_tool_prints_one_line(tmp_path: Path) -> None:
    nowhere = fresh_settings("127.0.0.1:1", tmp_path)
    tools = ["dead-letters list", "watch", "reset --yes", "topics check", "simulate --events 1", "worker"]
    for tool, process in [(tool, started(nowhere, *tool.split())) for tool in tools]:
        _, errors = process.communicate(timeout=60)
        lines = [line for line in errors.splitlines() if not line.startswith("{")]
        assert process.returncode == 1, tool
        assert [line[: len(NO_BROKER)] for line in lines] == [NO_BROKER], tool


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OUZEL_FIELD_MAPPING", '{"sku": "x"}', "field_mapping: sku is not a field of an event"),
        ("OUZEL_DECODER", "nowhere.at_all:decode", "decoder nowhere.at_all:decode"),
        ("OUZEL_PARTITIONS", "many", "partitions"),
    ],
)
def test_a_worker_with_a_wrong_setting_names_it_in_one_line(tmp_path: Path, variable: str, value: str, message: str) -> None:
    ran = ouzel(fresh_settings("127.0.0.1:1", tmp_path), "worker", **{variable: value})
    assert ran.returncode == 2
    assert ran.stderr.startswith("ouzel: ")
    assert message in ran.stderr
    assert ran.stderr.count("\n") == 1
