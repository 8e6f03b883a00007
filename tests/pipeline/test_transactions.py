"""Transactions on Apache Kafka: of workers, of other producers, and those that are refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from support.journey import assert_accounted, clicks, wait_done
from support.oracle import read_topic
from support.processes.running import WorkerProcess, fresh_settings, produce, wait_until

from streams.engine.transactions import FencedSender, Membership
from streams.errors import Abandoned
from streams.kafka.topics import create_topics
from streams.settings import Settings

MakeWorker = Callable[..., WorkerProcess]


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Settings:
    made = fresh_settings(kafka, tmp_path, delivery="exactly_once")
    create_topics(made)
    return made


def test_a_restarted_worker_ends_its_open_transaction_and_repeats_nothing(settings: Settings, worker: MakeWorker) -> None:
    running, done = worker(settings, module="faults.saboteur", SABOTAGE="before-commit:kill:3"), 0
    for seed in range(3):
        done += produce(settings, clicks(500, users=60, seed=seed))
        wait_until(lambda: not running.alive or running.done() == done, "the events done, or the kill")  # noqa: B023
    assert not running.alive
    assert len(read_topic(settings, "transitions")) < done, "the transaction of the third unit was committed"
    running.start()
    wait_done(settings, done)
    assert running.stop() == 0, running.tail()
    assert_accounted(settings)


async def transact(settings: Settings, records: list[tuple[bytes, bytes]], *, commit: bool) -> None:
    """Send events in a transaction of another producer."""
    async with AIOKafkaProducer(bootstrap_servers=settings.broker, transactional_id=f"{settings.app_id}-user") as producer:
        await producer.begin_transaction()
        for key, value in records:
            await producer.send(settings.topic("events"), key=key, value=value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


@pytest.mark.parametrize("delivery", ["leased", "exactly_once"])
def test_events_of_an_aborted_transaction_are_ignored_and_markers_are_not_lag(
    settings: Settings, worker: MakeWorker, delivery: str
) -> None:
    settings = settings.model_copy(update={"delivery": delivery})
    asyncio.run(transact(settings, clicks(300, users=20), commit=False))
    asyncio.run(transact(settings, clicks(200, users=20, seed=1), commit=True))
    running = worker(settings)
    running.wait_ready()
    wait_until(lambda: running.done() == 200, "the committed events done")

    def lags() -> list[float]:
        return [value for name, value in running.metrics().items() if name.startswith("ouzel_consumer_lag")]

    wait_until(lambda: len(lags()) == settings.partitions and not any(lags()), "no lag")
    assert running.stop() == 0, running.tail()
    assert len(read_topic(settings, "events")) == 200
    assert_accounted(settings)


async def test_the_broker_refuses_offsets_of_a_stale_generation_and_of_a_non_member(settings: Settings) -> None:
    """The broker would accept aiokafka's own request from anybody, so `FencedSender` sends another.

    aiokafka has no public names for a producer's sender and a consumer's coordinator.
    """
    tp = TopicPartition(settings.topic("events"), 0)
    consumer = AIOKafkaConsumer(tp.topic, bootstrap_servers=settings.broker, group_id=settings.app_id, enable_auto_commit=False)
    producer: Any = AIOKafkaProducer(bootstrap_servers=settings.broker, transactional_id=f"{settings.app_id}-test")
    producer._sender.__class__ = FencedSender
    async with consumer, producer:
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
        coordinator = consumer._coordinator
        member = Membership(coordinator.generation, coordinator.member_id, None)

        async def commit(offset: int, membership: Membership) -> None:
            producer._sender.membership = membership
            await producer.begin_transaction()
            try:
                await producer.send(settings.topic("transitions"), b"data")
                await producer.send_offsets_to_transaction({tp: offset}, settings.app_id)
            except Abandoned:
                await producer.abort_transaction()
                raise
            await producer.commit_transaction()

        async def settled(offset: int) -> None:
            async with asyncio.timeout(30):  # a commit is confirmed before its markers are written
                while await consumer.committed(tp) != offset:
                    await asyncio.sleep(0.05)

        await commit(1, member)
        await settled(1)
        for refused in (member._replace(generation=member.generation - 1), member._replace(member_id="nobody")):
            with pytest.raises(Abandoned):
                await commit(2, refused)
        await commit(3, member)
        await settled(3)
    assert len(read_topic(settings, "transitions")) == 2, "a refused transaction was not aborted"


def test_an_open_transaction_of_another_producer_is_lag_but_no_stall(settings: Settings, worker: MakeWorker) -> None:
    """Nothing behind its first record can be read, and a restart would not change that."""
    stall_s = 5.0
    settings = settings.model_copy(update={"delivery": "leased"})
    running = worker(settings, OUZEL_STALL_TIMEOUT_S=str(stall_s))
    running.wait_ready()

    async def beside() -> None:
        name = f"{settings.app_id}-user"
        async with AIOKafkaProducer(bootstrap_servers=settings.broker, transactional_id=name) as producer:
            await producer.begin_transaction()
            for key, value in clicks(300, users=20):
                await producer.send_and_wait(settings.topic("events"), key=key, value=value)
            done = 300 + await asyncio.to_thread(produce, settings, clicks(200, users=20, seed=1))
            await asyncio.to_thread(wait_until, lambda: running.lag() == done, "the lag")
            await asyncio.sleep(1.5 * stall_s)
            assert running.alive, running.tail()
            assert running.done() == 0
            await producer.commit_transaction()
        await asyncio.to_thread(wait_until, lambda: (running.done(), running.lag()) == (done, 0), "all events done")

    asyncio.run(beside())
    assert running.stop() == 0, running.tail()
