"""The parts that the journey calls: one ranks, one delivers. `streams.pipeline` calls them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from models.recommender import QueryLike, Ranking
from streams.kafka.outbox import Outbox
from streams.sessions.store import Changes


class Ranker(Protocol):
    """Ranks for the journey; a worker uses `streams.learning.ranking.ThreadRanker`.

    An example that recommends no item:

        class Nothing:
            async def rank(self, queries, k):
                return [Ranking([], [], [], [], "none")] * len(queries), [], 0
    """

    async def rank(self, queries: Sequence[QueryLike], k: int) -> tuple[list[Ranking], Sequence[str], int]:
        """Return a ranking of ``k`` items per query, the most popular items, the model's version.

        `Pipeline` awaits it on the event loop in step 5, once per unit, also for a unit without
        triggers. It must leave the loop free, so the model computes on another thread. Before:
        every session of the unit has been stepped. After: there is one ranking per query, in the
        order of the queries, and the model is unchanged.
        """
        ...


class Delivery(Protocol):
    """Sends a unit to Kafka; `streams.delivery` has one implementation per value of the setting.

    An example that sends nothing:

        class Discard:
            async def deliver(self, outputs, changes, generation):
                return dict.fromkeys(changes, 0)
    """

    async def deliver(self, outputs: Outbox, changes: Mapping[int, Changes], generation: int) -> dict[int, int]:
        """Send the outputs, then the changelog; return its last offset per partition.

        `Pipeline` awaits it on the event loop in step 6, once per unit. Before: nothing of the unit
        has left the process, and ``generation`` is the group's when the unit was polled. After:
        Kafka has confirmed every record, so that no crash undoes the unit. Raises `Abandoned` if
        this worker has lost the partitions, and another error if a record was not confirmed.
        """
        ...
