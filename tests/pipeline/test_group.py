"""A worker's app in its group: it stops during a rebalance and reports lag without false alarms."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiokafka.client import AIOKafkaClient
from faults.proxy import Proxy
from faust.types import TP
from mode.threads import WorkerThread
from structlog.testing import capture_logs
from support.journey import clicks
from support.processes.running import free_port, fresh_settings, produce, wait_until

from streams.engine.faust_app import App, create_app
from streams.kafka.partitions import PartitionsGrown
from streams.kafka.reach import group_answers
from streams.kafka.topics import admin, create_topics
from streams.sessions import changelog
from streams.settings import Settings

STOP_WITHIN_S = 6.0
Result = TypeVar("Result")


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """The errors that the apps fail with.

    Threads of an app that a failed test leaves behind are daemons, so that pytest can end.
    """
    daemon = property(lambda thread: thread._daemonic, lambda thread, _: setattr(thread, "_daemonic", True))
    monkeypatch.setattr(WorkerThread, "daemon", daemon, raising=False)
    return []


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine as `asyncio.run` does, but without waiting for other tasks after an error.

    Faust's services swallow cancellations, so such a wait might not end.
    """
    loop = asyncio.new_event_loop()
    result = loop.run_until_complete(main)
    loop.close()
    return result


def make_app(settings: Settings, failures: list[BaseException], ack: Callable[[Any], None]) -> App:
    """An app whose agent passes each event to ``ack``."""

    async def recommend(stream: Any) -> None:
        stream.enable_acks = False
        async for event in stream.events():
            ack(event)

    app = create_app(settings, changelog)
    app.fail_stop = failures.append
    app.agent(app.events_topic, name="recommend")(recommend)
    return app


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def started(app: App) -> App:
    await app.start()
    await until(lambda: bool(app.consumer.assignment()) and not app.rebalancing)
    return app


async def stops(app: App) -> bool:
    """Whether the app stops in time. This cancels nothing, because Faust swallows cancellations."""
    stopping = asyncio.ensure_future(app.stop_cleanly())
    await asyncio.wait({stopping}, timeout=STOP_WITHIN_S)
    return stopping.done() and stopping.exception() is None


def consumer_thread(app: App) -> Any:
    """The thread in which Faust runs aiokafka's consumer. Faust has no public name for it."""
    return app.consumer._thread


def rejoin(app: App) -> None:
    """Make the app join its group again, which rebalances the group. aiokafka has no public way."""
    thread = consumer_thread(app)
    thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)


@pytest.mark.parametrize("phase", ["on_partitions_revoked", "on_partitions_assigned"])
def test_a_stop_during_a_rebalance_ends_and_lets_the_rebalance_end(
    kafka: str, tmp_path: Path, failures: list[BaseException], phase: str
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)

    async def main() -> bool:
        app = await started(make_app(settings, failures, lambda event: event.ack()))
        entered, stopping = asyncio.Event(), asyncio.Event()
        answers = []

        async def slow(*_: Any, **__: Any) -> None:
            entered.set()
            await stopping.wait()
            answers.append(await app.consumer.highwaters(*app.consumer.assignment()))

        getattr(app, phase).connect(slow)
        rejoin(app)
        await until(entered.is_set)
        stopped = asyncio.ensure_future(stops(app))
        await until(lambda: bool(consumer_thread(app).should_stop))
        stopping.set()
        return await stopped and len(answers) == 1

    assert run(main())
    assert failures == []


def test_a_stop_does_not_wait_for_a_member_that_does_not_rejoin(
    kafka: str, tmp_path: Path, failures: list[BaseException]
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    beside = settings.model_copy(update={"data_dir": tmp_path / "beside"})
    create_topics(settings)

    async def main() -> None:
        unacknowledged: list[Any] = []
        released = asyncio.Event()

        def hold(event: Any) -> None:
            unacknowledged.append(event)
            if released.is_set():
                event.ack()

        leaves = await started(make_app(settings, failures, lambda event: event.ack()))
        holds = await started(make_app(beside, failures, hold))
        await asyncio.to_thread(produce, settings, clicks(500, users=50))
        await until(lambda: bool(unacknowledged))
        rejoin(leaves)
        await until(lambda: bool(holds.rebalancing))
        assert await stops(leaves)
        released.set()
        for event in unacknowledged:
            event.ack()
        await until(lambda: len(holds.consumer.assignment()) == 2 * settings.partitions and not holds.rebalancing)
        assert await stops(holds)

    run(main())
    assert failures == []


def test_an_app_that_starts_while_kafka_is_away_waits(kafka: str, tmp_path: Path, failures: list[BaseException]) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)
    port = free_port()

    async def main() -> None:
        app = make_app(settings.model_copy(update={"broker": f"127.0.0.1:{port}"}), failures, lambda event: event.ack())
        with capture_logs() as lines:
            starting = asyncio.ensure_future(started(app))
            await until(lambda: sum(line["event"] == "waits_for_kafka" for line in lines) >= 2)
        assert not starting.done()
        proxy = Proxy(port, int(kafka.rpartition(":")[2]))
        proxy.start()
        await starting
        assert await stops(app)
        proxy.stop()

    run(main())
    assert failures == []


def test_an_assignment_with_a_partition_that_the_settings_do_not_have_is_refused(
    kafka: str, tmp_path: Path, failures: list[BaseException]
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)

    async def main() -> None:
        app = make_app(settings, failures, lambda event: event.ack())
        app.conf.consumer_metadata_max_age_ms = 500  # or else aiokafka notices it after five minutes
        await started(app)
        client = admin(settings)
        client.create_partitions({settings.topic("events"): 6})
        client.close()
        await until(lambda: bool(failures))
        assert await stops(app)

    run(main())
    assert isinstance(failures[0], PartitionsGrown)
    assert "has 6 partitions, and OUZEL_PARTITIONS is 4" in str(failures[0])


def test_changelogs_that_no_stream_reads_raise_no_alarm(
    kafka: str, tmp_path: Path, failures: list[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)

    def unread(app: App) -> list[Any]:
        return [tp for tp in app.consumer.assignment() if tp.topic != app.events_name and (app.consumer.highwater(tp) or 0) > 0]

    async def main() -> None:
        app = await started(make_app(settings, failures, lambda event: event.ack()))
        await asyncio.to_thread(produce, settings, [(b"s-key", None)] * 40, "sessions-changelog")
        await until(lambda: bool(unread(app)))
        consumer_thread(app).tp_stream_timeout_secs = 0.0
        await app.consumer.verify_all_partitions_active()
        assert await stops(app)

    run(main())
    assert [record.message for record in caplog.records if "not started processing" in record.message] == []
    assert failures == []


def test_lag_is_reported_during_a_rebalance_and_only_for_own_partitions(
    kafka: str, tmp_path: Path, failures: list[BaseException]
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    beside = settings.model_copy(update={"data_dir": tmp_path / "beside"})
    create_topics(settings)
    events = 500

    async def main() -> None:
        stays = make_app(settings, failures, lambda event: stays.consumer.abandon(event.message))
        await started(stays)
        await asyncio.to_thread(produce, settings, clicks(events, users=50))
        topic = settings.topic("events")
        partitions = [TP(topic, partition) for partition in range(settings.partitions)]
        await until(lambda: sum(stays.consumer.fetched(tp)[0] or 0 for tp in partitions) == events)
        await until(lambda: set(stays.consumer.lag().values()) == {0})
        joins = make_app(beside, failures, lambda event: joins.consumer.abandon(event.message))
        joining = asyncio.ensure_future(started(joins))
        while not joining.done():
            stays.consumer.progress()
            await asyncio.sleep(0)
        await joining
        await until(lambda: not stays.rebalancing and not stays.consumer.lag().keys() & joins.consumer.lag().keys())
        assert sorted([*stays.consumer.lag(), *joins.consumer.lag()]) == list(range(settings.partitions))
        assert stays.consumer.fetched(TP(topic, next(iter(joins.consumer.lag())))) == (None, None, None)
        assert await stops(joins)
        assert await stops(stays)

    run(main())
    assert failures == []


def test_an_assignor_that_fails_is_reported(
    kafka: str, tmp_path: Path, failures: list[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)

    async def main() -> None:
        app = await started(make_app(settings, failures, lambda event: event.ack()))
        assert app.consumer.trouble() is None

        def assign(*_: Any) -> None:
            raise ValueError("no plan")

        monkeypatch.setattr(app.assignor, "assign", assign)
        rejoin(app)
        await until(lambda: app.consumer.trouble() is not None)
        assert "no plan" in str(app.consumer.trouble())
        assert await stops(app)

    run(main())


def test_a_client_of_its_own_checks_whether_the_group_answers(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path)
    wait_until(lambda: run(group_answers(settings)), "the broker's topic of groups created", every_s=0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        unreachable = settings.model_copy(update={"broker": f"127.0.0.1:{silent.getsockname()[1]}"})
        assert not run(group_answers(unreachable))


async def test_a_broker_that_knows_no_brokers_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a broker does that has just restarted."""

    async def bootstrap(_: AIOKafkaClient) -> None: ...

    monkeypatch.setattr(AIOKafkaClient, "bootstrap", bootstrap)
    assert not await group_answers(fresh_settings("127.0.0.1:1", tmp_path))
