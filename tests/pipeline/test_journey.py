"""The journey on real brokers: RocksDB, changelog and outputs account for every event."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
from support.journey import assert_accounted, clicks, wait_done
from support.oracle import in_changelog, outputs, read_topic
from support.processes.running import WorkerProcess, fresh_settings, produce, produce_nothing, wait_until

from streams.events.records import POPULAR_KEY
from streams.kafka.topics import create_topics
from streams.rules import hash_secret
from streams.sessions.deletion import marker_key
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]


def test_each_click_makes_one_transition_and_one_recommendation_and_sigterm_stops_cleanly(
    settings: Settings, worker: MakeWorker
) -> None:
    produced = produce(settings, clicks(2000, users=100))
    running = worker(settings)
    running.wait_ready()
    wait_done(settings, produced)
    wait_until(lambda: running.metrics().get("ouzel_recommendations_total|strategy=null") == produced, "counters")
    counted = running.metrics()
    assert running.stop() == 0, running.tail()
    assert_accounted(settings)
    assert counted["ouzel_transitions_total"] == produced
    assert counted["ouzel_events_total|event_type=view|outcome=accepted"] == produced


def test_a_restarted_worker_continues_where_it_stopped(settings: Settings, worker: MakeWorker) -> None:
    for seed in range(2):
        produce(settings, clicks(500, users=20, seed=seed))
        running = worker(settings)
        running.wait_ready()
        wait_done(settings, 500 * (seed + 1))
        assert running.stop() == 0, running.tail()
        assert running.metrics() == {}
    assert_accounted(settings)


def test_sessions_are_restored_from_the_changelog_alone(settings: Settings, worker: MakeWorker) -> None:
    produce(settings, clicks(500, users=20))
    first = worker(settings)
    first.wait_ready()
    wait_done(settings, 500)
    assert first.stop() == 0, first.tail()
    for path in sorted(Path(settings.data_dir).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    second = worker(settings)
    second.wait_ready()
    produce(settings, clicks(500, users=20, seed=1))
    wait_done(settings, 1000)
    assert second.stop() == 0, second.tail()
    assert_accounted(settings)


BAD = {
    "empty": b"",
    "json null": b"null",
    "not utf-8": b'{"item_id": "\xff\xfe", "user_id": "u"}',
    "truncated": b'{"item_id": "a", "user',
    "wrong types": b'{"item_id": [1], "user_id": {}}',
    "nan": b'{"item_id": "a", "user_id": "u", "price": NaN}',
    "missing": b'{"user_id": "u"}',
    "pickle": pickle.dumps({"item_id": "a", "user_id": "u"}),
    "nested": b'{"item_id": "a", "user_id": "u", "context": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "future": b'{"item_id": "a", "user_id": "u", "timestamp": "9999-01-01T00:00:00Z"}',
}


def test_each_bad_record_becomes_one_dead_letter_and_later_events_are_unharmed(settings: Settings, worker: MakeWorker) -> None:
    good = clicks(len(BAD) + 1, users=1)
    records: list[tuple[bytes | None, bytes | None]] = [(b"user-0", value) for value in BAD.values()]
    mixed = [record for pair in zip(good, records, strict=False) for record in pair]
    produced = produce(settings, mixed)
    produce_nothing(settings, partition=0)
    produced += 1 + produce(settings, good[-1:])
    running = worker(settings)
    running.wait_ready()
    wait_done(settings, produced)
    assert running.stop() == 0, running.tail()
    assert_accounted(settings)
    letters = read_topic(settings, "dead-letters")
    assert len(letters) == len(BAD) + 1
    by_offset = {(record.partition, record.offset): record.value or b"" for record in read_topic(settings, "events")}
    for letter in letters:
        headers = dict(letter.headers)
        assert headers["topic"].decode() == settings.topic("events")
        assert headers["reason"]
        assert (letter.value or b"") == by_offset[int(headers["partition"]), int(headers["offset"])]
    assert len(outputs(settings).recommendations) == len(good)


def test_a_record_of_five_megabytes_becomes_one_truncated_dead_letter(kafka: str, tmp_path: Path, worker: MakeWorker) -> None:
    settings = fresh_settings(kafka, tmp_path, partitions=1)
    create_topics(settings)
    good = clicks(2, users=1)
    value = b'{"user_id": "user-0", "item_id": "' + b"x" * 5_000_000 + b'"}'
    produced = produce(settings, [good[0], (b"user-0", value), good[1]])
    running = worker(settings)
    running.wait_ready()
    wait_done(settings, produced)
    assert running.stop() == 0, running.tail()
    (letter,) = read_topic(settings, "dead-letters")
    headers = {name: value.decode() for name, value in letter.headers}
    where = (headers["topic"], headers["partition"], headers["offset"])
    assert where == (settings.topic("events"), "0", "1")
    assert (headers["reason"], headers["value_length"]) == ("too_large", str(len(value)))
    assert letter.value == value[: len(letter.value)]
    assert_accounted(settings)
    assert len(outputs(settings).recommendations) == 2


def test_a_null_value_with_a_key_deletes_the_user(settings: Settings, worker: MakeWorker) -> None:
    """Their sessions and recommendations are deleted, and only a hash of the user stays.

    Older events do not bring the user back; newer ones do.
    """
    produced = produce(settings, [*clicks(20, users=2), (b"user-0", None), *clicks(20, users=2)])
    running = worker(settings)
    running.wait_ready()
    wait_done(settings, produced)
    assert running.scraped()["ouzel_events_total|event_type=view|outcome=before_deletion"] == 20 - sum(
        key == b"user-1" for key, _ in clicks(20, users=2)
    )
    assert running.stop() == 0, running.tail()
    assert_accounted(settings)
    marker = marker_key("user-0", hash_secret(settings))
    keys = {key for states in in_changelog(settings)[0].values() for key in states}
    assert keys == {b"u:user-1", marker}
    assert [r.value for r in read_topic(settings, "recommendations") if r.key == b"user-0"][-1] is None
    now = json.dumps({"user_id": "user-0", "item_id": "a"}).encode()
    produced += produce(settings, [(b"user-0", now)])
    again = worker(settings)
    again.wait_ready()
    wait_done(settings, produced)
    assert again.stop() == 0, again.tail()
    assert_accounted(settings)
    assert {key for states in in_changelog(settings)[0].values() for key in states} == {b"u:user-0", b"u:user-1", marker}
    assert read_topic(settings, "dead-letters") == []


def test_a_field_mapping_reads_events_of_another_shape(settings: Settings, worker: MakeWorker) -> None:
    mapped = settings.model_copy(
        update={"field_mapping": {"user_id": "uid", "item_id": "product.sku", "timestamp": "ts"}, "model": "hybrid"}
    )
    rows = [{"uid": "ann", "product": {"sku": sku}, "ts": 1_700_000_000 + n} for n, sku in enumerate(["a", "b", "a", "c"])]
    produced = produce(mapped, [(b"ann", json.dumps(row).encode()) for row in rows])
    running = worker(mapped)
    running.wait_ready()
    wait_done(mapped, produced)
    assert running.stop() == 0, running.tail()
    assert_accounted(mapped)
    published = [r for r in read_topic(mapped, "recommendations") if r.key != POPULAR_KEY]
    last = msgspec.json.decode(published[-1].value)
    assert last["user_id"] == "ann"
    assert last["prefix"] == ["a", "b", "a", "c"]


def test_a_wrong_partition_count_is_refused(settings: Settings, worker: MakeWorker) -> None:
    running = worker(settings.model_copy(update={"partitions": 3}))
    assert running.process is not None
    assert running.process.wait(30) == 2
    assert "ouzel reset" in running.tail()
