"""A Faust sensor that times rebalances and commits for the metrics."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from faust import Sensor
from faust.types import TP, AppT
from faust.types.transports import ConsumerT

from streams.engine.upstream import committed_offsets


class GroupSensor(Sensor):
    """Calls functions for rebalances and commits.

    ``rebalancing`` is called when a rebalance begins, ``rebalanced`` with the seconds that it took,
    recovery included, and ``committed`` with the seconds that a commit took.
    """

    def __init__(
        self, rebalancing: Callable[[], None], rebalanced: Callable[[float], None], committed: Callable[[float], None]
    ) -> None:
        super().__init__()
        self._rebalancing, self._rebalanced, self._committed = rebalancing, rebalanced, committed

    def on_rebalance_start(self, app: AppT) -> dict[str, float]:
        """Count the rebalance and note its beginning, to time it."""
        self._rebalancing()
        return {"began": monotonic()}

    def on_rebalance_end(self, app: AppT, state: dict[str, float]) -> None:
        """Time the rebalance."""
        self._rebalanced(monotonic() - state["began"])

    def on_commit_initiated(self, consumer: ConsumerT) -> tuple[float, dict[TP, int | None]]:
        """Note when the commit begins and what is committed so far."""
        return monotonic(), committed_offsets(consumer)

    def on_commit_completed(self, consumer: ConsumerT, state: tuple[float, dict[TP, int | None]]) -> None:
        """Time the commit. Faust calls this every second, so a commit of nothing is not timed."""
        began, before = state
        if before != committed_offsets(consumer):
            self._committed(monotonic() - began)
