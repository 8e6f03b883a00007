"""`ouzel` with a fault at one point of the journey, which happens once per data directory.

The environment variable SABOTAGE chooses the fault, as ``point:action[:after]``. The actions are
``stop`` (SIGSTOP) and ``kill`` (SIGKILL). The fault happens after this many units, by default 50.
The points, in the order of the journey:

- ``before-step``, ``before-rank``, ``before-outputs``
- ``before-changelog`` (leased delivery)
- ``in-request`` (leased delivery): between the check of the lease and the request, which is the
  window that the lease does not cover
- ``before-offsets`` (exactly once): the records of the unit are sent, its offsets are not; of an
  intake with leased delivery, too
- ``before-commit`` (exactly once)
- ``before-store``, ``before-ack``

An intake has ``before-outputs``, ``in-request``, ``before-offsets`` and ``before-commit``, too.

``blocked-loop:MS`` blocks the event loop for MS milliseconds in every commit.

`trainer_saboteur` describes the faults of the trainer of a worker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka.producer.sender import Sender

from serving.cli import main
from streams.child_command import module_command
from streams.delivery.exactly_once import ExactlyOnceDelivery
from streams.delivery.leased import LeasedDelivery
from streams.delivery.publisher import Placed, Publisher
from streams.engine.consumer import PollConsumer
from streams.engine.transactions import FencedSender
from streams.intake.delivering import AtLeastOnce, ExactlyOnce
from streams.kafka.outbox import Outbox
from streams.learning.ranking import ThreadRanker
from streams.pipeline import Pipeline
from streams.settings import load_settings
from streams.training import child

DELIVERIES = (LeasedDelivery, ExactlyOnceDelivery)
OF_INTAKES = (AtLeastOnce, ExactlyOnce)
SIGNALS = {"stop": signal.SIGSTOP, "kill": signal.SIGKILL}
AFTER = 50
OF_TRAINERS = ("in-snapshot", "model-nan", "model-hot")
"""The points that are in the trainer; see `trainer_saboteur`."""


class Saboteur:
    """Counts units, and sends this process a signal once.

    ``done`` is a file that marks the signal as sent, also for the process that is started next.
    """

    def __init__(self, action: str, after: int, done: Path) -> None:
        self._signal, self._after, self._done = SIGNALS[action], after, done
        self._units = 0

    def count_unit(self) -> None:
        """Count a unit that begins."""
        self._units += 1

    def strike(self) -> None:
        """Send the signal if there were enough units and it was not sent before."""
        if self._units < self._after or self._done.exists():
            return
        self._done.parent.mkdir(parents=True, exist_ok=True)
        self._done.write_text("struck")
        os.kill(os.getpid(), self._signal)


def wrap(owner: type, name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None) -> None:
    """Call a function before or after each call of a coroutine method."""
    original: Any = getattr(owner, name)

    async def wrapped(self: object, *arguments: Any, **options: Any) -> Any:
        if before is not None:
            before()
        result = await original(self, *arguments, **options)
        if after is not None:
            after()
        return result

    setattr(owner, name, wrapped)


def before_publishing(name: str, strike: Callable[[], None]) -> None:
    """Strike before each outbox that has records for this topic."""
    original = Publisher.publish
    topic = load_settings().topic(name)

    async def publish(self: Publisher, outbox: Outbox, generation: int) -> Placed:
        if any(of_topic == topic for of_topic, _ in outbox):
            strike()
        return await original(self, outbox, generation)

    Publisher.publish = publish  # type: ignore[method-assign]


def block_commits(ms: float) -> None:
    """Block the event loop during each commit.

    Faust has no public method that every commit passes.
    """
    original: Any = PollConsumer._commit_offsets

    async def commit(self: object, *arguments: Any, **options: Any) -> Any:
        asyncio.get_running_loop().call_later(0.001, time.sleep, ms / 1000)
        return await original(self, *arguments, **options)

    PollConsumer._commit_offsets = commit  # type: ignore[method-assign]


def arm(order: str) -> None:
    """Build the fault in; ``order`` is the value of SABOTAGE."""
    point, action, *rest = order.split(":")
    if point == "blocked-loop":
        block_commits(float(action))
        return
    if point in OF_TRAINERS:
        child.COMMAND = module_command("faults.trainer_saboteur")
        return
    saboteur = Saboteur(action, int(rest[0]) if rest else AFTER, load_settings().data_dir.parent / f"struck-{point}")
    strike = saboteur.strike
    wrap(Pipeline, "process", before=saboteur.count_unit)
    for delivery in OF_INTAKES:
        wrap(delivery, "deliver", before=saboteur.count_unit)
    if point == "before-step":
        wrap(Pipeline, "process", before=strike)
    elif point == "before-rank":
        wrap(ThreadRanker, "rank", before=strike)
    elif point == "before-outputs":
        for delivery in (*DELIVERIES, *OF_INTAKES):
            wrap(delivery, "deliver", before=strike)
    elif point == "before-changelog":
        before_publishing("sessions-changelog", strike)
    elif point == "before-store":
        for delivery in DELIVERIES:
            wrap(delivery, "deliver", after=strike)
    elif point == "before-offsets":
        wrap(FencedSender, "_do_txn_offset_commit", before=strike)
        wrap(AtLeastOnce, "_commit", before=strike)
    elif point == "before-commit":
        wrap(FencedSender, "_do_txn_commit", before=strike)
    elif point == "before-ack":
        wrap(Pipeline, "process", after=strike)
    elif point == "in-request":
        wrap(Sender, "_send_produce_req", before=strike)  # `LeasedSender` calls it once the lease is checked
    else:
        sys.exit(f"SABOTAGE: no point is named {point}; see the docstring of tests/faults/saboteur.py")


if __name__ == "__main__":
    arm(os.environ["SABOTAGE"])
    main()
