from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from prometheus_client import generate_latest
from support.processes.running import samples

from streams.observing.lag import LagWatch
from streams.observing.telemetry import Telemetry


class Group:
    """A worker's place in its group, as far as `LagWatch` reads it.

    ``partitions`` have a lag, a committed offset, and the oldest Kafka time in ms.
    """

    def __init__(self) -> None:
        self.partitions: dict[int, tuple[int, int, int | None]] = {}
        self.now, self.fresh, self.elected = 1000.0, True, False
        self.telemetry = Telemetry()
        app: Any = SimpleNamespace(consumer=self, consumer_generation_id=7, lease=self)
        self.watch = LagWatch(app, self.telemetry, lambda: self.elected, lambda: 7, lambda: self.now)

    def lag(self) -> dict[int, int]:
        return {partition: lag for partition, (lag, _, _) in self.partitions.items()}

    def committed_offset(self, partition: int) -> int:
        return self.partitions[partition][1]

    def oldest(self, partition: int) -> int | None:
        return self.partitions[partition][2]

    def look(self) -> dict[str, float]:
        self.watch.look()
        return samples(generate_latest(self.telemetry.registry).decode())


def test_lag_commits_and_age_by_partition() -> None:
    group = Group()
    group.partitions = {0: (5, 20, 990_000), 3: (0, 9, None)}
    shown = group.look()
    assert (shown["ouzel_consumer_lag|partition=0"], shown["ouzel_committed_offset|partition=0"]) == (5, 20)
    assert shown["ouzel_oldest_uncommitted_age_seconds|partition=0"] == 10
    assert shown["ouzel_oldest_uncommitted_age_seconds|partition=3"] == 0
    assert (shown["ouzel_assigned_partitions"], shown["ouzel_group_generation"]) == (2, 7)
    assert (shown["ouzel_lease_fresh"], shown["ouzel_learner"], shown["ouzel_follower_lag"]) == (1, 0, 7)
    group.fresh, group.elected = False, True
    shown = group.look()
    assert (shown["ouzel_lease_fresh"], shown["ouzel_learner"]) == (0, 1)


def test_the_age_is_the_time_of_waiting_while_nothing_can_be_polled() -> None:
    group = Group()
    ages = []
    for now, state in ((1000.0, (5, 0, None)), (1030.0, (6, 0, None)), (1040.0, (6, 0, 1_015_000)), (1050.0, (6, 0, None))):
        group.now, group.partitions = now, {0: state}
        ages.append(group.look()["ouzel_oldest_uncommitted_age_seconds|partition=0"])
    assert ages == [0, 30, 25, 0]


def test_a_partition_of_another_worker_has_no_gauges() -> None:
    group = Group()
    group.partitions = {0: (5, 0, None), 1: (0, 0, None)}
    group.look()
    group.partitions = {1: (0, 0, None)}
    shown = group.look()
    assert [name for name in shown if "partition=0" in name] == []
    group.now, group.partitions = 1100.0, {0: (5, 0, None)}
    assert group.look()["ouzel_oldest_uncommitted_age_seconds|partition=0"] == 0, "it has just begun to wait"
