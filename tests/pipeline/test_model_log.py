"""The model is durable in Kafka: after kills and lost disks it is restored, bit for bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaProducer
from safetensors.numpy import load
from support.journey import clicks, wait_done
from support.model_oracle import snapshots, uninterrupted, write_snapshot
from support.models_streams import ring, steps
from support.oracle import account, outputs, read_topic
from support.processes.in_this_process import ouzel
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until

from models.snapshot import take
from streams.kafka.topics import create_topics
from streams.learning.model import new_model
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]
OPTIONS = {"encoder": "recency", "profile": "fast"}


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka, tmp_path, model="hybrid", snapshot_every_s=0.4, partitions=2, **OPTIONS)
    create_topics(made)
    return made


def newest(settings: Settings) -> int:
    """The position of the newest snapshot in the transitions log; 0 if there is none."""
    return next((stored.manifest.transitions_offset for stored in snapshots(settings).newest_first()), 0)


def _newer(settings: Settings, than: int) -> bool:
    return newest(settings) > than


def test_after_kills_and_with_every_disk_deleted_the_model_is_bit_equal_to_an_uninterrupted_one(
    settings: Settings, tmp_path: Path, worker: MakeWorker
) -> None:
    done = 0
    for seed in range(4):
        before = newest(settings)
        done += produce(settings, clicks(700, users=60, seed=seed))
        running = worker(settings)
        running.wait_ready()
        wait_until(partial(_newer, settings, before), "a new snapshot")
        running.kill()
        shutil.rmtree(settings.data_dir)
    last = worker(settings)
    last.wait_ready()
    wait_done(settings, done)
    ended = len(read_topic(settings, "transitions"))
    wait_until(lambda: newest(settings) > ended - 64, "the last snapshot")
    assert last.stop() == 0, last.tail()
    assert '"from_offset": 0' not in last.log.read_text(), "the worker read the whole log again"
    last_written = next(snapshots(settings).newest_first())
    expected = uninterrupted(settings, last_written.manifest)
    assert last_written.load() == expected
    assert set(outputs(settings).transitions) == account(settings, read_topic(settings, "events")).transitions
    assert len(list(snapshots(settings).newest_first())) <= 3, "old snapshots were not removed"
    file = tmp_path / "model.safetensors"
    exported = ouzel(settings, "model", "export", str(file))
    assert exported.returncode == 0, exported.stderr
    assert load(file.read_bytes()).keys() == load(expected).keys()
    assert file.read_bytes() == expected


def test_a_damaged_snapshot_is_logged_and_the_older_one_used(settings: Settings, worker: MakeWorker) -> None:
    produced = produce(settings, clicks(600, users=40))
    first = worker(settings)
    first.wait_ready()
    wait_done(settings, produced)
    wait_until(lambda: newest(settings) > 500, "a snapshot")
    assert first.stop() == 0, first.tail()
    intact = next(snapshots(settings).newest_first())
    damaged = msgspec.structs.replace(intact.manifest, snapshot="damaged", transitions_offset=produced)
    chunks = intact.chunks | {0: intact.chunks[0][:100] + bytes([intact.chunks[0][100] ^ 1]) + intact.chunks[0][101:]}
    write_snapshot(settings, damaged, chunks)
    producer = KafkaProducer(bootstrap_servers=settings.broker)
    producer.send(settings.topic("model"), value=b"\x80\x04nonsense")
    producer.send(settings.topic("transitions"), value=b"{no transition")
    producer.flush()
    producer.close()
    second = worker(settings)
    second.wait_ready()
    counted, log = second.metrics(), second.log.read_text()
    assert log.partition('"model_rebuilt"')[0].count('"snapshot_refused"') == 2
    assert counted["ouzel_refused_snapshots_total"] in (2, 4), "counted at the start, and again by the learner"
    assert counted["ouzel_refused_transitions_total"] == 1
    assert counted["ouzel_learning_steps"] >= intact.manifest.steps
    assert "snapshot damaged: " in log
    assert f'"from_offset": {intact.manifest.transitions_offset}' in log
    assert second.stop() == 0, second.tail()


def test_a_log_that_ends_before_the_snapshots_position_is_refused(settings: Settings, worker: MakeWorker) -> None:
    produced = produce(settings, clicks(400, users=40))
    first = worker(settings)
    first.wait_ready()
    wait_done(settings, produced)
    wait_until(lambda: newest(settings) > 300, "a snapshot")
    assert first.stop() == 0, first.tail()
    intact = next(snapshots(settings).newest_first())
    ahead = msgspec.structs.replace(intact.manifest, snapshot="ahead", transitions_offset=10_000)
    write_snapshot(settings, ahead, intact.chunks)
    second = worker(settings)
    assert second.process is not None
    assert second.process.wait(60) == 2
    assert "ouzel model export" in second.tail()


def test_a_model_trained_on_history_is_imported_at_the_end_of_the_log(
    settings: Settings, tmp_path: Path, worker: MakeWorker
) -> None:
    history, file = tmp_path / "history.jsonl", tmp_path / "model.safetensors"
    history.write_bytes(b"\n".join(value for _, value in clicks(1000, users=50, seed=5)))
    trained = ouzel(settings, "train", str(history), "--out", str(file))
    assert trained.returncode == 0, trained.stderr
    assert "1000 events" in trained.stdout
    inspected = ouzel(settings, "model", "inspect", str(file))
    assert "hybrid" in inspected.stdout
    assert "position: 0:999" in inspected.stdout
    other = ouzel(settings.model_copy(update={"encoder": "gru"}), "model", "import", str(file))
    assert (other.returncode, "Traceback" in other.stderr) == (2, False)
    assert "encoder=recency" in other.stderr
    imported = ouzel(settings, "model", "import", str(file))
    assert imported.returncode == 0, imported.stderr
    running = worker(settings)
    running.wait_ready()
    known = running.metrics()
    assert known["ouzel_vocabulary_items"] > 190
    refused = ouzel(settings, "model", "import", str(file))
    assert refused.returncode == 1
    assert "live members" in refused.stderr
    produced = produce(settings, clicks(500, users=50, seed=6))
    wait_done(settings, produced)
    wait_until(lambda: running.scraped()["ouzel_transitions_learned_total"] > 400, "learning after the import")
    assert running.stop() == 0, running.tail()
    listed = ouzel(settings, "model", "inspect")
    assert "usable" in listed.stdout
    file.write_bytes(file.read_bytes()[:-1])
    cut = ouzel(settings, "model", "import", str(file))
    assert (cut.returncode, "Traceback" in cut.stderr) == (2, False)


def test_a_model_without_items_or_with_far_fewer_than_the_one_in_service_is_imported_only_by_force(
    settings: Settings, tmp_path: Path
) -> None:
    files = {}
    for items in (60, 5, 0):
        model = new_model(settings)
        for step in steps(model, ring(600, items=items)) if items else ():
            model.learn(step)
        assert model.vocabulary_size == items
        files[items] = tmp_path / f"{items}.safetensors"
        files[items].write_bytes(take(settings.model, model))
    refused = ouzel(settings, "model", "import", str(files[0]))
    assert refused.returncode == 1, "nothing is in service, but the model has learned nothing"
    assert refused.stderr == (
        f"ouzel: {files[0]} holds a model without items: it has learned nothing. Check what `ouzel train` skipped; use --force "
        "to import it nevertheless\n"
    )
    assert ouzel(settings, "model", "import", str(files[60])).returncode == 0
    refused = ouzel(settings, "model", "import", str(files[5]))
    assert refused.returncode == 2
    assert "holds a model of 5 items, fewer than a tenth of the 60 in service; use --force" in refused.stderr
    assert ouzel(settings, "model", "import", str(files[0])).returncode == 1
    for items in (5, 0):
        forced = ouzel(settings, "model", "import", "--force", str(files[items]))
        assert (forced.returncode, f"{items} items" in forced.stdout) == (0, True), forced.stderr
