"""The times of rebalances and commits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from streams.engine.sensor import GroupSensor


def test_rebalances_and_commits_are_timed_but_not_a_commit_of_nothing() -> None:
    began, rebalanced, committed = list[None](), list[float](), list[float]()
    sensor: Any = GroupSensor(lambda: began.append(None), rebalanced.append, committed.append)
    state = sensor.on_rebalance_start(None)
    assert (len(began), rebalanced) == (1, [])
    sensor.on_rebalance_end(None, state)
    assert (len(rebalanced), rebalanced[0] >= 0) == (1, True)
    consumer = SimpleNamespace(_committed_offset={0: 5})
    state = sensor.on_commit_initiated(consumer)
    sensor.on_commit_completed(consumer, state)
    assert committed == []
    state = sensor.on_commit_initiated(consumer)
    consumer._committed_offset[0] = 6
    sensor.on_commit_completed(consumer, state)
    assert len(committed) == 1
