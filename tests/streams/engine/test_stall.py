"""The watchdog and the pulse, which end a worker that could work and does not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine.pulse import guard_loop
from streams.engine.stall import StallWatch, Watchdog

LIMIT_S, REBALANCE_S, REQUEST_S = 60.0, 20.0, 30.0


class Watched:
    """A stall watch of ten seconds that is called twice a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watch = StallWatch(10.0, lambda: self.now)

    def stalls(self, until: float, progress: object, *, behind: bool = True) -> float | None:
        """When it first stalls, or ``None`` if it does not stall until then."""
        while self.now < until:
            self.now += 0.5
            if self.watch.stalled(progress, behind=behind):
                return self.now
        return None


def test_a_stall_is_no_progress_for_the_whole_limit_although_there_is_work() -> None:
    watched = Watched()
    assert watched.stalls(9.0, 1) is None
    assert watched.stalls(15.0, 2) is None, "progress at 9.5"
    assert watched.stalls(100.0, 2, behind=False) is None, "no work"
    assert watched.stalls(200.0, 2) == 110.5


def test_a_process_that_was_frozen_has_not_stalled() -> None:
    watched = Watched()
    assert watched.stalls(5.0, 1) is None
    watched.now = 1000.0
    assert watched.stalls(1003.0, 1) is None
    assert watched.stalls(1100.0, 1) == 1005.5


class Group:
    """The part of a worker's app and its group that the watchdog uses."""

    def __init__(self, *, exactly_once: bool = False) -> None:
        self.now, self.fresh, self.answers = 0.0, True, True
        self.at, self.behind, self.wrong = 0, False, None
        self.failures: list[BaseException] = []
        lease = SimpleNamespace(clock=lambda: self.now)
        conf = SimpleNamespace(broker_rebalance_timeout=REBALANCE_S, broker_request_timeout=REQUEST_S)
        self.app: Any = SimpleNamespace(
            consumer=self,
            lease=self,
            conf=conf,
            exactly_once=exactly_once,
            transaction_timeout_ms=10_000,
            in_recovery=False,
            rebalancing=False,
        )
        self.clock, self.begun = lease.clock, True
        self.on_question: Callable[[], None] = lambda: None
        self.dog = Watchdog(self.app, LIMIT_S, self.group_answers, self.failures.append)

    def trouble(self) -> BaseException | None:
        return self.wrong

    def progress(self) -> tuple[object, bool]:
        return self.at, self.behind

    async def group_answers(self) -> bool:
        self.on_question()
        return self.answers

    async def fails_at(self, until: float) -> float | None:
        """Check every second. Returns when the worker failed, or ``None``."""
        while self.now < until:
            self.now += 1
            await self.dog.look()
            if self.failures:
                return self.now
        return None


async def test_a_worker_with_work_and_a_fresh_lease_has_to_make_progress() -> None:
    group = Group()
    assert await group.fails_at(1000) is None, "no work"
    group.behind = True
    while group.now < 2000:
        group.at += 1
        assert await group.fails_at(group.now + LIMIT_S / 2) is None, "it makes progress"
    began, group.at = group.now, group.at + 1
    assert await group.fails_at(3000) == began + 1 + LIMIT_S + 1


async def test_a_transaction_that_was_left_open_is_waited_for() -> None:
    group = Group(exactly_once=True)
    assert await group.fails_at(10) is None
    group.behind, began = True, group.now
    assert await group.fails_at(3000) == began + LIMIT_S + 10 + 1


async def test_a_worker_with_a_stale_lease_waits_until_the_group_answers_others() -> None:
    group = Group()
    group.fresh, group.behind, group.answers = False, True, False
    assert await group.fails_at(10_000) is None, "no client reaches the group"
    group.answers = True
    failed = await group.fails_at(20_000)
    assert failed is not None
    assert 0 < failed - (10_000 + LIMIT_S + REBALANCE_S + REQUEST_S) <= LIMIT_S / 4 + 1


async def test_a_long_rebalance_is_no_stall_but_a_long_recovery_in_it_is() -> None:
    group = Group()
    group.behind = group.app.rebalancing = True
    assert await group.fails_at(1000) is None
    group.app.in_recovery = True
    assert await group.fails_at(2000) == 1000 + LIMIT_S + 1


async def test_a_lease_that_is_renewed_while_the_group_is_tried_counts_as_fresh() -> None:
    group = Group()
    group.fresh = False

    def renew() -> None:
        group.fresh = True

    group.on_question = renew
    await group.dog.look()
    group.now += 1000
    await group.dog.look()
    assert group.failures == []


async def test_an_error_that_ended_the_consumer_ends_the_worker_at_once() -> None:
    group = Group()
    group.wrong = ValueError("its coordinator")
    assert await group.fails_at(10) == 1
    assert group.failures == [group.wrong]


def test_a_thread_notices_a_blocked_loop() -> None:
    failed, errors = threading.Event(), list[BaseException]()

    def fail(error: BaseException) -> None:
        errors.append(error)
        failed.set()

    async def block() -> None:
        guard_loop(asyncio.get_running_loop(), 1.0, fail)
        await asyncio.sleep(0.3)
        assert errors == []
        assert failed.wait(20)

    asyncio.run(block())
    assert "blocked" in str(errors[0])


def test_the_thread_ends_with_the_loop() -> None:
    async def main() -> threading.Thread:
        return guard_loop(asyncio.get_running_loop(), 0.1, lambda error: pytest.fail(str(error)))

    asyncio.run(main()).join(20)
    assert not any(thread.name == "pulse" and thread.is_alive() for thread in threading.enumerate())
