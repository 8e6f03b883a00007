"""The metrics and the log of a worker that works."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from support.journey import wait_done
from support.processes.running import WorkerProcess, fresh_settings, produce, samples, wait_until

from serving.metrics_reference import metrics
from streams.events.records import recommendation_id
from streams.kafka.topics import create_topics
from streams.observing.metrics import LABELS, SECTIONS
from streams.observing.observer import SAMPLED
from streams.settings import Settings

pytestmark = pytest.mark.broker  # `scrape` chooses its broker at run time

CLICKS, MORE, USERS = 2000, 640, 60
NOT_IN_HEALTH = {
    "ouzel_foreign_keys_total",  # every event has its user's key
    "ouzel_dead_letters_total",  # counted below: one bad record
    "ouzel_refused_items_total",  # every item is valid
    "ouzel_dropped_item_fields_total",
    "ouzel_event_fields_total",  # every event has every field that it names
}
ODD_HERE = {"snapshots_kept", "snapshot_postponed"}
"""Warnings that a healthy worker logs here.

The embedded broker deletes no records. Clicks at random make steps of a high loss, and here one of
many snapshots may fall on such a step.
"""


class Scrape(NamedTuple):
    """A worker's metrics after its work, as text and as samples; its log; the number of clicks."""

    text: str
    samples: dict[str, float]
    log: str
    clicks: int


@pytest.fixture(scope="module")
def scrape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scrape:
    """A worker that has learned from clicks.

    It also had two clicks and two impressions that name a recommendation, and a bad record.
    """
    folder = tmp_path_factory.mktemp("metrics")
    broker = request.getfixturevalue("kafka" if os.environ.get("KAFKA_HOME") else "embedded")
    quick = {"encoder": "recency", "profile": "fast", "partitions": 1, "snapshot_every_s": 1}
    # A long timeout: rebalances are counted, so a busy machine must not cause one.
    settings = fresh_settings(broker, folder, model="hybrid", session_timeout_s=30.0, **quick)
    create_topics(settings)
    worker = WorkerProcess(settings, folder / "worker.log", OUZEL_LOG_FORMAT="json").start()
    try:
        worker.wait_ready()
        clicked = click_until_exposure_is_counted(settings, worker)
        attributed = []
        for number, event_type in enumerate(["view", "purchase", "impression", "impression"]):
            event = {
                "event_id": f"attributed-{number}",
                "user_id": "user-1",
                "item_id": f"item-{number}",
                "event_type": event_type,
                "recommendation_id": recommendation_id(settings.topic("events"), 0, clicked - 1),
            }
            attributed.append((b"user-1", json.dumps(event).encode()))
        produced = clicked + produce(settings, [*attributed, (b"user-2", b"nonsense")])
        wait_done(settings, produced)
        wait_until(lambda: worker.scraped()["ouzel_learning_steps"] > 50, "50 learning steps")
        wait_until(lambda: worker.scraped()["ouzel_snapshot_timestamp_seconds"] > 0, "a snapshot")
        wait_until(lambda: worker.scraped()["ouzel_sessions_held|partition=0"] >= USERS, "the sessions in RocksDB counted")
        wait_until(lambda: worker.scraped()["ouzel_committed_offset|partition=0"] == produced, "the last commit")
        wait_until(lambda: worker.scraped()["ouzel_oldest_uncommitted_age_seconds|partition=0"] == 0, "no uncommitted event")
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        assert worker.stop() == 0, worker.tail()
    finally:
        if worker.alive:
            worker.kill()
    return Scrape(text, samples(text), worker.log.read_text(), clicked)


def click_until_exposure_is_counted(settings: Settings, worker: WorkerProcess) -> int:
    """Click until the worker counts what it recommends. Returns the number of clicks.

    It does so once it knows the popular items, which it looks up once a second.
    """
    records = walks(CLICKS + MORE, users=USERS)
    done = produce(settings, records[:CLICKS])
    wait_done(settings, done)
    while not any(name.startswith("ouzel_recommended_items_total") for name in worker.scraped()):
        assert done < len(records), "no recommended items are counted"
        done += produce(settings, records[done : done + SAMPLED])
        wait_done(settings, done)
    return done


def walks(count: int, users: int) -> list[tuple[bytes, bytes]]:
    """Clicks that can be learned: the users click in turn, each from one item to the next.

    Each user starts at an item of their own.
    """
    records = []
    for number in range(count):
        step, user = divmod(number, users)
        event = {"event_id": f"w{number}", "user_id": f"user-{user}", "item_id": f"item-{(7 * user + step) % 200}"}
        records.append((b"user-%d" % user, json.dumps(event).encode()))
    return records


def test_promtool_has_no_complaints(scrape: Scrape, promtool: Path) -> None:
    checked = subprocess.run([promtool, "check", "metrics"], input=scrape.text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_endpoint_has_exactly_the_metrics_of_the_reference(scrape: Scrape) -> None:
    registry = CollectorRegistry()
    for section in SECTIONS:
        section(registry)
    declared = {metric.name: metric.kind for metric in metrics(registry)}
    names = {name.split("|")[0] for name in scrape.samples}
    of_histograms = {name: name + "_count" for name, kind in declared.items() if kind == "histogram"}
    silent = {name for name in declared if of_histograms.get(name, name) not in names}
    assert silent <= NOT_IN_HEALTH
    expected = {*declared, *(name + end for name in of_histograms for end in ("_bucket", "_count", "_sum"))}
    assert {name for name in names if not name.startswith(("process_", "python_"))} <= expected
    assert {"process_start_time_seconds", "python_gc_collections_total"} < names


def test_labels_have_only_the_values_of_the_reference(scrape: Scrape) -> None:
    for name in scrape.samples:
        for pair in name.split("|")[1:] if name.startswith("ouzel_") else []:
            label, _, value = pair.partition("=")
            known = LABELS.get(label, "le")
            assert isinstance(known, str) or value in known, name


def test_the_counters_match_the_work(scrape: Scrape) -> None:
    counted = scrape.samples
    events = {name: value for name, value in counted.items() if name.startswith("ouzel_events_total")}
    assert events == {
        "ouzel_events_total|event_type=view|outcome=accepted": scrape.clicks + 1,
        "ouzel_events_total|event_type=purchase|outcome=accepted": 1,
        "ouzel_events_total|event_type=impression|outcome=impression": 2,
        "ouzel_events_total|event_type=unknown|outcome=dead_letter": 1,
    }
    assert counted["ouzel_dead_letters_total|reason=invalid_json"] == 1
    clicked = {name: value for name, value in counted.items() if name.startswith("ouzel_recommendation_clicks_total")}
    shown = {name: value for name, value in counted.items() if name.startswith("ouzel_recommendation_impressions_total")}
    assert (sum(clicked.values()), sum(shown.values()), counted["ouzel_recommendations_unattributed_total"]) == (2, 2, 0)
    assert counted["ouzel_freshness_seconds_count"] == counted["ouzel_interactions_total"] == scrape.clicks + 2
    assert counted["ouzel_assigned_partitions"] == counted["ouzel_rebalances_total"] == counted["ouzel_recoveries_total"] == 1
    assert 0 < counted["ouzel_rebalance_seconds_sum"] < 60
    assert counted["ouzel_commit_seconds_count"] > 0
    assert 0 < counted["ouzel_model_busy_seconds_total|work=learn"] < counted["process_cpu_seconds_total"]


def test_the_model_is_evaluated_on_every_click_and_the_experts_on_a_sample(scrape: Scrape) -> None:
    counted = scrape.samples
    tests = {name: value for name, value in counted.items() if name.startswith("ouzel_prequential_tests_total")}
    model = tests["ouzel_prequential_tests_total|method=model"]
    assert model == scrape.clicks + 2 - USERS - counted["ouzel_prequential_skipped_total"]
    for method in LABELS["method"]:
        if method == "gru":  # the encoder is recency
            continue
        of_method = tests[f"ouzel_prequential_tests_total|method={method}"]
        assert of_method == model if method in ("model", "popularity") else 0 < of_method < model / 8
        assert 0 <= counted[f"ouzel_live_recall|k=20|method={method}"] <= 1


def test_the_log_has_one_event_per_line_no_errors_and_no_user_ids(scrape: Scrape) -> None:
    lines = [json.loads(line) for line in scrape.log.splitlines()]
    assert {"assigned", "ready", "learns", "snapshot_written", "stopped"} <= {line["event"] for line in lines}
    assert [line for line in lines if line["level"] == "error"] == []
    odd = {line["event"] for line in lines if line["level"] == "warning" and line["logger"].startswith("streams")}
    assert odd <= ODD_HERE
    assert not any("user-" in line for line in scrape.log.splitlines())
    assert len(lines) < 30, "the log grows with the load"
