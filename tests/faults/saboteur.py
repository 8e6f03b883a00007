"""`ouzel` with a fault built in at one point of the journey, once per data directory: ``SABOTAGE=point:action[:after]``.

Points, in the order of the journey: before-step, before-rank, before-outputs, before-store, before-ack; with leased delivery
also before-changelog and in-request (between the lease's check and the request: the exempt window), with exactly once
before-offsets (the unit is sent) and before-commit; in-snapshot (before a random chunk). Actions: stop (SIGSTOP), kill
(SIGKILL). The fault happens after so many units (50). ``blocked-loop:MS`` blocks the event loop for so many ms in every commit.
``model-nan:STEP`` puts NaN into some embeddings at that learning step, ``model-hot:STEP`` multiplies the embeddings' learning
rate by 100 for 60 steps.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.hybrid import Hybrid
from models.net import net
from serving.cli import main
from streams.delivery.exactly_once import ExactlyOnceDelivery
from streams.delivery.leased import LeasedDelivery
from streams.delivery.publisher import Placed, Publisher
from streams.engine.consumer import PollConsumer
from streams.engine.producer import LeasedSender
from streams.engine.transactions import FencedSender
from streams.kafka.outbox import Outbox
from streams.learning import model_log
from streams.learning.ranking import ThreadRanker
from streams.learning.snapshots import SnapshotWriter
from streams.pipeline import Pipeline
from streams.settings import load_settings

SIGNALS = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}
AFTER = 50
HOT_STEPS = 60


class Saboteur:
    """Counts units, and strikes once."""

    def __init__(self, action: str, after: int, done: Path) -> None:
        self._signal, self._after, self._done = SIGNALS[action], after, done
        self._units = 0

    def unit(self) -> None:
        """A unit begins."""
        self._units += 1

    def strike(self) -> None:
        """Here is the point."""
        if self._units < self._after or self._done.exists():
            return
        self._done.parent.mkdir(parents=True, exist_ok=True)
        self._done.write_text("struck")
        os.kill(os.getpid(), self._signal)


def wrap(owner: type, name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> None:
    """Call something around a coroutine method."""
    original: Any = getattr(owner, name)

    async def wrapped(self: Any, *arguments: Any, **options: Any) -> Any:
        if before is not None:
            before()
        result = await original(self, *arguments, **options)
        if after is not None:
            after()
        return result

    setattr(owner, name, wrapped)


def before_changelog(strike: Callable[[], None]) -> None:
    """The second sending of a delivery."""
    original = Publisher.publish
    topic = load_settings().topic("sessions-changelog")

    async def publish(self: Any, outbox: Outbox, generation: int) -> Placed:
        if any(where[0] == topic for where in outbox):
            strike()
        return await original(self, outbox, generation)

    Publisher.publish = publish  # type: ignore[method-assign]


def chunks(strike: Callable[[], None]) -> None:
    """Many small chunks, some 600 a snapshot, and the strike at a random one."""
    model_log.CHUNK_BYTES = 20_000
    original: Any = SnapshotWriter._send

    async def sending(self: Any, *arguments: Any) -> Any:
        if random.random() < 0.004:
            strike()
        return await original(self, *arguments)

    SnapshotWriter._send = sending  # type: ignore[method-assign]


def block_commits(ms: float) -> None:
    """Hold the event loop while a commit is under way."""
    original: Any = PollConsumer._commit_offsets

    async def commit(self: Any, *arguments: Any, **options: Any) -> Any:
        asyncio.get_running_loop().call_later(0.001, time.sleep, ms / 1000)
        return await original(self, *arguments, **options)

    PollConsumer._commit_offsets = commit  # type: ignore[method-assign]


def spoil(how: str, at: int) -> None:
    """Make training go wrong at a learning step, once."""
    original, learn_rows = Hybrid.learn, net.adagrad
    step = 0

    def hot(items: Any, gradient: Any, bias_gradient: Any, used: Any, scale: Any) -> None:
        rows = used[: len(gradient)]
        before = items.embedding[rows].copy()
        learn_rows(items, gradient, bias_gradient, used, scale)
        if at <= step < at + HOT_STEPS:
            items.embedding[rows] = before + 100 * (items.embedding[rows] - before)

    def learn(self: Any, batch: Any) -> None:
        nonlocal step
        step += 1
        if how == "model-nan" and step == at:
            self.net.items.embedding[:8] = math.nan
        original(self, batch)

    if how == "model-hot":
        net.adagrad = hot
    Hybrid.learn = learn  # type: ignore[method-assign]


def arm(order: str) -> None:
    """Build the fault in."""
    point, action, *rest = order.split(":")
    if point == "blocked-loop":
        block_commits(float(action))
        return
    if point in ("model-nan", "model-hot"):
        spoil(point, int(action))
        return
    saboteur = Saboteur(action, int(rest[0]) if rest else AFTER, load_settings().data_dir.parent / f"struck-{point}")
    strike = saboteur.strike
    wrap(Pipeline, "process", before=saboteur.unit)
    if point == "before-step":
        wrap(Pipeline, "process", before=strike)
    elif point == "before-rank":
        wrap(ThreadRanker, "rank", before=strike)
    elif point == "before-outputs":
        for delivery in (LeasedDelivery, ExactlyOnceDelivery):
            wrap(delivery, "deliver", before=strike)
    elif point == "before-changelog":
        before_changelog(strike)
    elif point == "before-store":
        for delivery in (LeasedDelivery, ExactlyOnceDelivery):
            wrap(delivery, "deliver", after=strike)
    elif point == "before-offsets":
        wrap(FencedSender, "_do_txn_offset_commit", before=strike)
    elif point == "before-commit":
        wrap(FencedSender, "_do_txn_commit", before=strike)
    elif point == "before-ack":
        wrap(Pipeline, "process", after=strike)
    elif point == "in-snapshot":
        chunks(strike)
    elif point == "in-request":
        wrap(LeasedSender, "_may_send", after=strike)
    else:
        sys.exit(f"no point {point}")


if __name__ == "__main__":
    arm(os.environ["SABOTAGE"])
    main()
