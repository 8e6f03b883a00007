"""One worker trains and the others follow, through kills, hand-overs and diverging training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.journey import clicks, wait_done
from support.model_oracle import bit_equal, snapshots
from support.oracle import read_topic
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until

from streams.kafka.topics import create_topics
from streams.learning.model_updates import from_record
from streams.learning.snapshots import model_name
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(
        kafka, tmp_path, model="hybrid", encoder="recency", profile="fast", snapshot_every_s=1.0, session_timeout_s=3.0
    )
    create_topics(made)
    return made


def beside(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"data_dir": settings.data_dir.parent / name})


def learners(*workers: WorkerProcess) -> list[WorkerProcess]:
    return [worker for worker in workers if worker.alive and worker.metrics().get("ouzel_learner") == 1]


def newest_epoch(settings: Settings) -> int:
    """The epoch of the newest snapshot; -1 if there is none."""
    return next((stored.manifest.epoch for stored in snapshots(settings).newest_first()), -1)


def all_learned(settings: Settings) -> bool:
    """Whether the newest snapshot has learned the whole log, except for a step that is not full."""
    newest = next(snapshots(settings).newest_first(), None)
    return newest is not None and newest.manifest.transitions_offset > len(read_topic(settings, "transitions")) - 64


def in_step(*workers: WorkerProcess) -> bool:
    """Whether all workers rank with the same version of a model that has learned."""
    steps = {worker.scraped()["ouzel_learning_steps"] for worker in workers}
    return len(steps) == 1 and steps != {0.0}


def test_followers_rank_with_the_learners_parameters_and_one_replaces_a_killed_learner(
    settings: Settings, worker: MakeWorker
) -> None:
    first, second = worker(settings), worker(beside(settings, "beside"))
    for running in (first, second):
        running.wait_ready()
    done = produce(settings, clicks(1500, users=80))
    wait_done(settings, done)
    wait_until(lambda: in_step(first, second), "the follower on the learner's parameters")
    (learner,) = learners(first, second)
    follower = second if learner is first else first
    wait_until(lambda: learner.metrics()["ouzel_transitions_learned_total"] > 1000, "trained")
    trained, followed = learner.metrics(), follower.metrics()
    assert followed["ouzel_transitions_learned_total"] == 0
    for counted in (trained, followed):
        assert counted["ouzel_transitions_followed_total"] > 1000
    assert followed["ouzel_vocabulary_items"] == trained["ouzel_vocabulary_items"]
    before = newest_epoch(settings)
    learner.kill()
    done += produce(settings, clicks(1500, users=80, seed=1))
    wait_done(settings, done)
    wait_until(lambda: newest_epoch(settings) > before, "a snapshot by the new learner")
    wait_until(lambda: all_learned(settings), "everything learned", every_s=0.5)
    assert bit_equal(settings), "the model is not that of an uninterrupted run"
    epochs = [from_record(record.value, model_name(settings))[0].epoch for record in read_topic(settings, "model-updates")]
    assert epochs == sorted(epochs)
    assert len(set(epochs)) >= 2
    learner.start()
    learner.wait_ready()
    wait_until(lambda: in_step(first, second), "the old learner following")
    assert learners(first, second) == [follower]


def test_the_learner_stays_the_learner_when_workers_join_and_leave(settings: Settings, worker: MakeWorker) -> None:
    first, second = worker(settings), worker(beside(settings, "second"))
    for running in (first, second):
        running.wait_ready()
    wait_until(lambda: len(learners(first, second)) == 1, "one learner")
    (learner,) = learners(first, second)
    third = worker(beside(settings, "third"))
    for _ in range(3):
        third.wait_ready()
        wait_until(lambda: learners(first, second, third) == [learner], "the learner unchanged")
        assert third.stop() == 0, third.tail()
        wait_until(lambda: learners(first, second) == [learner], "the learner unchanged")
        third.start()
    assert learner.log.read_text().count('"trainer_restored"') == 1, "the learner stopped learning in between"


def test_the_learner_apart_trains_and_its_standby_takes_over(settings: Settings, worker: MakeWorker) -> None:
    settings = settings.model_copy(update={"trainer": "separate"})
    ranks = worker(settings)
    first, second = worker(settings, command="learner"), worker(settings, command="learner")
    for running in (ranks, first, second):
        running.wait_ready()
    done = produce(settings, clicks(1500, users=80))
    wait_done(settings, done)
    wait_until(lambda: ranks.scraped()["ouzel_learning_steps"] > 0, "the worker on the learner's parameters")
    assert learners(ranks) == []
    assert ranks.metrics()["ouzel_transitions_learned_total"] == 0
    (learner,) = learners(first, second)
    standby = second if learner is first else first
    wait_until(lambda: learner.metrics()["ouzel_transitions_learned_total"] > 1000, "trained")
    assert standby.metrics()["ouzel_trainer_up"] == 0
    before = newest_epoch(settings)
    learner.kill()
    done += produce(settings, clicks(500, users=80, seed=1))
    wait_until(lambda: newest_epoch(settings) > before, "a snapshot by the standby")
    wait_until(lambda: all_learned(settings), "everything learned", every_s=0.5)
    assert bit_equal(settings), "the model is not that of an uninterrupted run"
    assert standby.stop() == 0, standby.tail()


def test_parameters_that_are_not_finite_are_rolled_back_and_training_continues(settings: Settings, worker: MakeWorker) -> None:
    running = worker(settings, module="faults.saboteur", SABOTAGE="model-nan:40")
    running.wait_ready()
    wait_until(lambda: running.scraped()["ouzel_trainer_up"] == 1, "a trainer")
    done = 0
    for seed in range(4):
        done += produce(settings, clicks(1000, users=80, seed=seed))
        wait_done(settings, done)
    wait_until(lambda: running.scraped()["ouzel_rollbacks_total"] >= 1, "rolled back")
    done += produce(settings, clicks(1000, users=80, seed=9))
    wait_done(settings, done)
    wait_until(lambda: all_learned(settings), "everything learned", every_s=0.5)
    metrics = running.metrics()
    assert metrics["ouzel_transitions_learned_total"] <= len(read_topic(settings, "transitions")), "the position went back"
    assert 0 < metrics["ouzel_loss"] < 6
    assert running.stop() == 0, running.tail()
