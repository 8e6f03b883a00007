"""HTTP, worker and Apache Kafka together: fresh rankings, complete deletion, and Kafka away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from support.oracle import in_changelog, in_rocksdb, read_topic
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until
from support.processes.serve_process import ServeProcess
from support.server_sent import Events

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics
from streams.sessions.deletion import marker_key
from streams.sessions.step import session_key, user_key
from streams.settings import Settings
from streams.worker import hash_secret

CLEANS_AT_ONCE = {
    "log.cleaner.backoff.ms": "100",
    "log.cleaner.min.cleanable.ratio": "0.01",
    "log.cleaner.delete.retention.ms": "0",
    "log.segment.delete.delay.ms": "0",
}
SMALL_SEGMENTS = {
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
    "min.compaction.lag.ms": "0",
}


@dataclass
class RunningSystem:
    """The processes of a journey."""

    broker: ApacheBroker
    settings: Settings
    worker: WorkerProcess
    serve: ServeProcess

    def click(self, user: str, item: str, wait_ms: int = 1000, **fields: Any) -> Any:
        """Send an event by HTTP; returns the body of the answer."""
        answer = self.serve.call("POST", f"/v1/events?wait_ms={wait_ms}", {"user_id": user, "item_id": item} | fields)
        assert answer.status == 202, answer
        return answer.body

    def restart_serve(self) -> None:
        assert self.serve.stop() == 0, self.serve.tail()
        self.serve.start()
        self.serve.wait_ready()


@pytest.fixture(scope="module")
def stage(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """An Apache Kafka that compacts at once, a worker with the hybrid model, and a server."""
    folder = tmp_path_factory.mktemp("journey")
    with ApacheBroker(kafka_home, CLEANS_AT_ONCE) as broker:
        assert isinstance(broker, ApacheBroker)
        settings = fresh_settings(broker.bootstrap, folder, model="hybrid")
        create_topics(settings)
        worker = WorkerProcess(settings, folder / "worker.log")
        serve = ServeProcess(
            settings, folder / "serve.log", OUZEL_SERVE_HEARTBEAT_S="0.3",
            OUZEL_SERVE_WORKER_METRICS=json.dumps([f"127.0.0.1:{worker.port}"]),
        )  # fmt: skip
        worker.start()
        serve.start()
        worker.wait_ready(120)
        serve.wait_ready()
        yield RunningSystem(broker, settings, worker, serve)
        for process in (serve, worker):
            if process.alive:
                process.kill()


def test_every_click_is_answered_with_the_ranking_that_it_triggers(stage: RunningSystem) -> None:
    serve = stage.serve
    items = [f"i{n}" for n in range(12)]
    bulk = [
        {"item_id": item, "item_name": item.upper(), "categories": ["even" if n % 2 == 0 else "odd"]}
        for n, item in enumerate(items)
    ]
    assert serve.call("POST", "/v1/items", bulk).status == 200
    stream, sample = Events(serve, "/v1/users/ann/stream?k=3"), Events(serve, "/v1/live/stream")
    assert (stream.status, sample.status) == (200, 200)
    shown: list[str] = []
    for number, item in enumerate([*items, *items[:4]]):
        shown.append(item)
        body = stage.click("ann", item, event_id=f"e{number}")
        (event,), ranking = body["events"], body["recommendation"]
        assert (body["waited"], event["event_id"]) == ("fresh", f"e{number}")
        assert (ranking["trigger_offset"], ranking["prefix"]) == (event["offset"], shown[-10:])
        assert ranking["trigger_event_id"] == f"e{number}"
    again = serve.call("GET", "/v1/recommendations/ann").body
    assert (
        again["recommendation_id"]
        == ranking["recommendation_id"]
        == f"{stage.settings.topic('events')}-{event['partition']}-{event['offset']}"
    )
    assert len(again["items"]) == len(items), "all items, although fewer than k"
    assert {item["reason"] for item in again["items"]} & {"markov", "rules", "cooccurrence"}

    began = time.monotonic()
    assert stage.click("ann", items[3], event_id="e15")["waited"] == "duplicate"
    assert stage.click("ann", items[3], event_type="impression")["waited"] == "no_ranking"
    assert time.monotonic() - began < 0.9, "at once"

    odd = serve.call("GET", "/v1/recommendations/ann?category=odd&k=4&exclude=i1&exclude_seen=true").body
    assert {item["item_id"] for item in odd["items"]} <= {"i3", "i5", "i7", "i9", "i11"} - set(again["prefix"])
    user = serve.call("GET", "/v1/users/ann").body
    assert (user["sessions"][0]["prefix"], user["sessions"][0]["trigger_event_id"]) == (again["prefix"], "e15")
    similar = serve.call("GET", "/v1/items/i2/similar?k=2").body
    assert (similar["items"][0]["item_id"], similar["items"][0]["because_item_id"], similar["strategy"]) == (
        "i3",
        "i2",
        "experts",
    )
    assert serve.call("GET", "/v1/popular?k=3").body["items"][0]["item_id"] in items

    wait_until(lambda: len(stream.events) == len(shown), "every ranking on the stream")
    streamed = [json.loads(event["data"]) for event in stream.events]
    assert [one["trigger_offset"] for one in streamed] == sorted(one["trigger_offset"] for one in streamed)
    assert all(event["event"] == "ranking" and len(one["items"]) == 3 for event, one in zip(stream.events, streamed, strict=True))
    wait_until(lambda: stream.comments > 0, "a heartbeat")
    wait_until(lambda: bool(sample.events), "a sample of the rankings")
    assert "ann" not in json.dumps(sample.events)
    last = stream.events[-1]["id"]
    behind, back = Events(serve, "/v1/users/ann/stream", **{"last-event-id": stream.events[-2]["id"]}), Events(
        serve, "/v1/users/ann/stream", **{"last-event-id": last}
    )  # fmt: skip
    wait_until(lambda: [event["id"] for event in behind.events] == [last], "the ranking that was missed")
    wait_until(lambda: back.comments > 1, "heartbeats")
    assert back.events == []
    more = [Events(serve, "/v1/users/ann/stream") for _ in range(6)]
    assert [one.status for one in more] == [200] * 5 + [429], "eight streams of one user"
    for one in (stream, sample, behind, back, *more):
        one.close()

    def figures() -> bool:
        live = serve.call("GET", "/v1/live").body
        return bool(live["freshness_ms"]["samples"] and live["workers"]["ready"] == 1 and live["tests"] > 0 and live["accuracy"])

    wait_until(figures, "the figures of the topics and of the worker")
    assert serve.metrics()["ouzel_serve_waits_total|outcome=fresh"] == len(shown)


def test_a_restarted_server_answers_the_same_from_the_topics(stage: RunningSystem) -> None:
    stage.click("back", "i1")
    paths = ("/v1/recommendations/back", "/v1/users/back", "/v1/items?limit=1000", "/v1/items/i2/similar")
    before = [stage.serve.call("GET", path).body for path in paths]
    stage.restart_serve()
    after = [stage.serve.call("GET", path).body for path in paths]
    for one in (before[0], after[0], before[1]["sessions"][0], after[1]["sessions"][0]):
        one.pop("age_ms")
    assert after[:2] == before[:2]
    assert sorted(item["item_id"] for item in after[2]["items"]) == sorted(item["item_id"] for item in before[2]["items"])
    assert after[3]["items"][0] == before[3]["items"][0]


def test_hidden_and_expired_items_leave_the_published_rankings_and_the_answers(stage: RunningSystem) -> None:
    others = {f"i{n}" for n in range(12)} - {"i5", "i6"}
    ranked = stage.click("hal", "i7")["recommendation"]["items"]
    assert {item["item_id"] for item in ranked} == others | {"i5", "i6"}
    soon = int(time.time() * 1000) + 2000
    values = {"i5": {"ItemId": "i5", "IsHidden": "true"}, "i6": {"id": "i6", "expireTime": soon, "priceInfo": {"price": "?"}}}
    produce(stage.settings, [(f'"{name}"'.encode(), json.dumps(value).encode()) for name, value in values.items()], "items")

    def answered() -> set[str]:
        return {item["item_id"] for item in stage.serve.call("GET", "/v1/recommendations/hal").body["items"]}

    wait_until(lambda: answered() == others, "an answer without the hidden and the expired item")
    dropped = "ouzel_dropped_item_fields_total|field=price"
    wait_until(lambda: stage.worker.metrics().get(dropped) == 1, "the worker has read them")
    latest = stage.click("hal", "i7")["recommendation"]["trigger_offset"]
    of_hal = [json.loads(r.value or b"") for r in read_topic(stage.settings, "recommendations") if r.key == b"hal"]
    assert (of_hal[-1]["trigger_offset"], {item["item_id"] for item in of_hal[-1]["items"]}) == (latest, others)


def alter(settings: Settings, topic: str, config: dict[str, str]) -> None:
    client = KafkaAdminClient(bootstrap_servers=settings.broker)
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic), configs=config)])
    client.close()


def test_a_deleted_user_is_gone_from_every_store_and_stays_gone(stage: RunningSystem) -> None:
    """The user has sessions on two partitions, and an anonymous session has the same key."""
    settings, serve, worker = stage.settings, stage.serve, stage.worker
    for topic in ("recommendations", "sessions-changelog"):
        alter(settings, topic, SMALL_SEGMENTS)
    old = int(time.time() * 1000)
    partition = stage.click("gone", "i1", timestamp=old)["events"][0]["partition"]
    stage.click("gone", "i2", timestamp=old + 1, session_id="phone")
    other = next(str(n) for n in range(100) if stage.click(f"key{n}", "i1")["events"][0]["partition"] != partition)
    elsewhere = json.dumps({"user_id": "gone", "item_id": "i3", "timestamp": old}).encode()
    produce(settings, [(f"key{other}".encode(), elsewhere)])
    stage.click("stays", "i1")

    def left(topic: str, of: set[bytes]) -> list[Any]:
        return [record for record in read_topic(settings, topic) if record.key in of and record.value is not None]

    states = {user_key("gone"), session_key("gone")}
    wait_until(lambda: sum(bool(states & set(found)) for found in in_changelog(settings)[0].values()) == 2, "on two partitions")
    assert serve.call("GET", "/v1/users/gone").status == 200
    assert left("recommendations", {b"gone"})
    assert left("sessions-changelog", states)

    stream = Events(serve, "/v1/users/gone/stream")
    deleted = serve.call("DELETE", "/v1/users/gone")
    assert (deleted.status, deleted.body) == (202, {"user_id": "gone", "partitions": settings.partitions})
    assert serve.call("GET", "/v1/users/gone").status == 404, "removed from the cache at once"
    assert serve.call("GET", "/v1/recommendations/gone").body["strategy"] == "popularity"
    wait_until(lambda: any(event["event"] == "removed" for event in stream.events), "the stream reports the deletion")
    stream.close()

    marker = marker_key("gone", hash_secret(settings))
    wait_until(lambda: all(marker in found for found in in_changelog(settings)[0].values()), "a marker on every partition")
    for number, replayed in enumerate((old, old + 1)):  # by HTTP, then by Kafka
        answer = serve.call(
            "POST",
            "/v1/events?wait_ms=300",
            {"user_id": "gone", "item_id": "i5", "timestamp": replayed, "event_id": f"r{number}"},
        )
        assert (answer.status, answer.body["waited"]) == (202, "timeout")
    produce(settings, [(b"gone", elsewhere), (f"key{other}".encode(), elsewhere)])
    wait_until(
        lambda: worker.metrics().get("ouzel_events_total|event_type=view|outcome=before_deletion") == 4, "they are ignored"
    )
    assert serve.call("GET", "/v1/users/gone").status == 404

    def compacted() -> bool:
        filler = [(f"fill{n}".encode(), json.dumps({"user_id": f"fill{n}", "item_id": "i1"}).encode()) for n in range(40)]
        produce(settings, filler)  # the active segment is not compacted
        time.sleep(0.3)
        return not left("recommendations", {b"gone"}) and not left("sessions-changelog", states)

    wait_until(compacted, "no trace of the user in the compacted topics", 90)
    published = [json.loads(record.value) for record in read_topic(settings, "recommendations") if record.value is not None]
    mine = [one for one in published if one["user_id"] == "gone"]
    assert {one["trigger_event_id"] for one in mine} <= {one["trigger_event_id"] for one in mine if one["prefix"] == ["i3"]}, (
        "rankings under another record's key stay until their retention: see docs/guarantees.md"
    )
    assert not any(states & set(found) for found in in_changelog(settings)[0].values())
    stage.restart_serve()
    assert serve.call("GET", "/v1/recommendations/stays").body["strategy"] == "hybrid"
    assert worker.stop() == 0, worker.tail()
    on_disk = in_rocksdb(Path(settings.data_dir), settings.partitions)[0]
    assert on_disk
    assert not any(states & set(found) for found in on_disk.values())
    assert all(marker in found for found in on_disk.values())


def test_without_kafka_reads_go_on_and_writes_fail_in_time(stage: RunningSystem) -> None:
    serve = stage.serve
    assert stage.click("kept", "i1", wait_ms=0)["waited"] is None
    assert serve.metrics()["ouzel_serve_kafka_available"] == 1
    known = serve.call("GET", "/v1/recommendations/stays").body
    stage.broker.kill()
    writes = [
        ("POST", "/v1/events", {"user_id": "kept", "item_id": "i1", "event_id": "w"}),
        ("POST", "/v1/events?wait_ms=1000", {"user_id": "kept", "item_id": "i1"}),
        ("PUT", "/v1/items/i1", {}),
        ("DELETE", "/v1/items/i1", None),
        ("DELETE", "/v1/users/kept", None),
    ]
    for method, path, body in writes * 2:
        began = time.monotonic()
        answer = serve.call(method, path, body)
        assert time.monotonic() - began < 2.0, (method, path)
        assert (answer.status, answer.body["type"]) == (503, "/reference#kafka-away")
        assert int(answer.headers["retry-after"]) > 0
        read = serve.call("GET", "/v1/recommendations/stays")
        assert read.status == 200
        assert read.body["recommendation_id"] == known["recommendation_id"]
    assert read.body["age_ms"] > known["age_ms"]
    assert serve.call("GET", "/v1/items?limit=1").status == 200
    assert serve.call("GET", "/v1/popular?k=1").status == 200
    assert serve.call("GET", "/health/ready").status == 200, "it still answers"
    metrics = serve.metrics()
    assert metrics["ouzel_serve_kafka_available"] == 0
    assert metrics["ouzel_serve_failed_writes_total|reason=away"] >= 5
    stage.broker.restart()
    wait_until(
        lambda: serve.call("POST", "/v1/events", {"user_id": "kept", "item_id": "i2"}).status == 202,
        "it accepts events again",
        30,
    )
    assert serve.metrics()["ouzel_serve_kafka_available"] == 1
    assert serve.stop() == 0, serve.tail()
