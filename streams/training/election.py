"""The election among processes of `ouzel learner`: one owns the partition of the learner topic."""

from __future__ import annotations

from collections.abc import Collection

from aiokafka import ConsumerRebalanceListener, TopicPartition

from streams.engine.thread import REBALANCED_WITHIN_S, leave_group
from streams.engine.upstream import coordinator_of, has_started
from streams.kafka.connection import aiokafka_config
from streams.kafka.reading import aiokafka_consumer
from streams.kafka.retry import patiently
from streams.settings import Settings

POLL_MS = 1000


class Election(ConsumerRebalanceListener):  # type: ignore[misc]
    """The membership of one process; `streams.training.child.Group` describes the properties.

    ``run`` joins the group, and stays in it until it is cancelled.
    """

    def __init__(self, settings: Settings) -> None:
        timeout_ms = int(settings.session_timeout_s * 1000)
        self._consumer = aiokafka_consumer(
            **aiokafka_config(settings), group_id=settings.learner_group, auto_offset_reset="latest",
            session_timeout_ms=timeout_ms, heartbeat_interval_ms=timeout_ms // 4, request_timeout_ms=max(30_000, timeout_ms),
        )  # fmt: skip
        self._consumer.subscribe([settings.topic("learner")], listener=self)
        self.rebalancing = False

    @property
    def elected(self) -> bool:
        """Whether this process owns the partition."""
        return bool(self._consumer.assignment())

    @property
    def generation(self) -> int:
        """The group's generation."""
        return int(coordinator_of(self._consumer).generation)

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """A rebalance begins."""
        self.rebalancing = True

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """A rebalance has ended."""
        self.rebalancing = False

    async def run(self) -> None:
        """Join, and drop the records of the topic, which should be empty, until cancelled."""
        await patiently(self._consumer.start, "the election")
        while True:
            await self._consumer.getmany(timeout_ms=POLL_MS)

    async def leave(self) -> None:
        """Leave the group, so that another process is elected at once."""
        if has_started(self._consumer):
            await leave_group(coordinator_of(self._consumer), REBALANCED_WITHIN_S)
        await self._consumer.stop()
