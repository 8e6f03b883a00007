"""The trainer with a fault, which happens once per data directory. `saboteur` starts it.

The environment variable SABOTAGE chooses the fault, as ``point:action[:after]``:

- ``in-snapshot:kill`` and ``in-snapshot:stop`` send the signal before a random chunk of a snapshot
- ``model-nan:STEP`` puts NaN into some embeddings at this learning step
- ``model-hot:STEP`` multiplies the embeddings' learning rate by 100 for 60 steps from this step
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections.abc import Callable
from typing import Any

from faults.saboteur import Saboteur, wrap

from streams.learning import model_log
from streams.settings import load_settings
from streams.training.process import main
from streams.training.snapshot_writer import SnapshotWriter

HOT_STEPS = 60
SMALL_CHUNK_BYTES, IN_CHUNK = 20_000, 0.004
"""A snapshot has about 600 chunks of this size; each is struck with this probability."""


def in_snapshot(strike: Callable[[], None]) -> None:
    """Write snapshots in many small chunks, and strike before a random one."""
    model_log.CHUNK_BYTES = SMALL_CHUNK_BYTES

    def perhaps() -> None:
        if random.random() < IN_CHUNK:
            strike()

    wrap(SnapshotWriter, "_write", before=perhaps)


def spoil(how: str, at: int) -> None:
    """Make training diverge at a learning step, once."""
    from models.hybrid import Hybrid  # numba and torch take seconds to import
    from models.net import net
    from models.transition import Transitions

    original, learn_rows = Hybrid.learn, net.adagrad
    step = 0

    def hot(items: Any, gradient: Any, bias_gradient: Any, used: Any, scale: Any) -> None:
        rows = used[: len(gradient)]
        before = items.embedding[rows].copy()
        learn_rows(items, gradient, bias_gradient, used, scale)
        if at <= step < at + HOT_STEPS:
            items.embedding[rows] = before + 100 * (items.embedding[rows] - before)

    def learn(self: Hybrid, batch: Transitions) -> None:
        nonlocal step
        step += 1
        if how == "model-nan" and step == at:
            self.net.items.embedding[:8] = math.nan
        original(self, batch)

    if how == "model-hot":
        net.adagrad = hot
    Hybrid.learn = learn  # type: ignore[method-assign]


def arm(order: str) -> None:
    """Build the fault in; ``order`` is the value of SABOTAGE."""
    point, action, *_ = order.split(":")
    if point == "in-snapshot":
        in_snapshot(Saboteur(action, 0, load_settings().data_dir.parent / f"struck-{point}").strike)
    else:
        spoil(point, int(action))


if __name__ == "__main__":
    arm(os.environ["SABOTAGE"])
    main(int(sys.argv[1]))
