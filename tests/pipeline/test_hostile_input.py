"""Nothing that arrives on any topic ends a process: two workers and a server, on Apache Kafka.

Every topic gets records that no reader can use, while every codec of Kafka is in use. Each good
event around them is ranked, learned and stored once, and processes that start afterwards, which
read all of it again, work as well.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.bad_input import CARD, send
from kafka.admin import ConfigResource, ConfigResourceType
from support.damage.hostile import hostile
from support.damage.hostile import send as send_hostile
from support.journey import assert_in_kafka, clicks, wait_done
from support.oracle import read_topic
from support.processes.running import WorkerProcess, fresh_settings, produce, produce_compressed, wait_until
from support.processes.serve_process import ServeProcess

from streams.kafka.topics import admin, create_topics
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]
CODECS = {
    "events": "lz4", "items": "snappy", "transitions": "zstd", "recommendations": "gzip", "sessions-changelog": "lz4",
    "model": "zstd", "model-updates": "snappy", "dead-letters": "gzip",
}  # fmt: skip
SHARE = 300


@pytest.fixture
def settings(kafka: str, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    made = fresh_settings(
        kafka, tmp_path, delivery=request.param, model="hybrid", encoder="recency", profile="fast", partitions=2,
        snapshot_every_s=1.0, session_timeout_s=6.0,
    )  # fmt: skip
    create_topics(made)
    client = admin(made)
    client.alter_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, made.topic(topic), configs={"compression.type": codec})
            for topic, codec in CODECS.items()
        ]
    )
    client.close()
    return made


@pytest.fixture
def serve(settings: Settings, tmp_path: Path) -> Iterator[ServeProcess]:
    server = ServeProcess(settings, tmp_path / "serve.log")
    yield server.start()
    if server.alive:
        server.kill()


def learned(*workers: WorkerProcess) -> None:
    """Wait until the learner has learned every transition there is."""

    def done() -> bool:
        scrapes = [worker.scraped() for worker in workers]
        return any(scrape.get("ouzel_learner") == 1 and scrape["ouzel_learner_lag"] == 0 for scrape in scrapes)

    wait_until(done, "every transition learned")


def follows(worker: WorkerProcess, since: float) -> bool:
    """Tell whether a worker that does not learn has taken parameters that were published since."""
    scrape = worker.scraped()
    return scrape.get("ouzel_learner") == 0 and scrape["ouzel_parameters_timestamp_seconds"] > since


@pytest.mark.parametrize("settings", ["leased", "exactly_once"], indirect=True)
def test_no_record_on_any_topic_ends_a_process_or_costs_a_good_event(
    settings: Settings, tmp_path: Path, worker: MakeWorker, serve: ServeProcess
) -> None:
    beside = settings.model_copy(update={"data_dir": tmp_path / "beside"})
    records = clicks(3 * SHARE, users=20)
    workers = [worker(settings), worker(beside)]
    for process in workers:
        process.wait_ready()
    serve.wait_ready()
    total = produce(settings, records[:SHARE])
    produce(settings, [(b"item-1", b'{"item_id": "item-1", "item_name": "One"}')], topic="items")
    wait_done(settings, total)

    bad = [each.record for each in CARD]
    foreign = send_hostile(settings, hostile(settings))
    forged_at = time.time()
    total += len(send(settings, bad))
    for number, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
        total += produce_compressed(settings, records[SHARE + 50 * number : SHARE + 50 * (number + 1)], codec)
    total += produce(settings, records[SHARE + 200 : 2 * SHARE])
    wait_done(settings, total, without=foreign)
    learned(*workers)
    wait_until(lambda: any(follows(process, forged_at) for process in workers), "the follower takes the learner's parameters")
    for process in (*workers, serve):
        assert process.alive, process.tail()
    assert workers[0].stop() == 0, workers[0].tail()
    assert serve.stop() == 0, serve.tail()
    shutil.rmtree(settings.data_dir)

    again = worker(settings)
    again.wait_ready()
    serve.start().wait_ready()
    total += produce(settings, records[2 * SHARE :])
    wait_done(settings, total, without=foreign)
    learned(again, workers[1])
    owner = records[-1][0].decode()
    newest = [record for record in read_topic(settings, "recommendations") if record.key == owner.encode()][-1]
    wait_until(lambda: serve.call("GET", f"/v1/recommendations/{owner}").body["trigger_offset"] > 0, "served")
    assert serve.call("GET", f"/v1/recommendations/{owner}").body["recommendation_id"].encode() in newest.value
    assert serve.call("GET", "/v1/items/item-1").body["item_name"] == "One"
    similar = serve.call("GET", "/v1/items/item-1/similar").body["items"]
    assert similar, "the server's experts have learned"
    for process in (again, workers[1], serve):
        assert process.stop() == 0, process.tail()
    assert_in_kafka(settings, without=foreign)
