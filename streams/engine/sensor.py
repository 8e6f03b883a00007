"""Faust's own moments that are worth a metric: rebalances and commits."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from faust import Sensor


class GroupSensor(Sensor):
    """Tells when a rebalance begins, and how many seconds rebalances (recovery included) and commits took."""

    def __init__(
        self, rebalancing: Callable[[], None], rebalanced: Callable[[float], None], committed: Callable[[float], None]
    ) -> None:
        super().__init__()
        self._rebalancing, self._rebalanced, self._committed = rebalancing, rebalanced, committed

    def on_rebalance_start(self, app: Any) -> dict[str, float]:
        self._rebalancing()
        return {"began": monotonic()}

    def on_rebalance_end(self, app: Any, state: Any) -> None:
        self._rebalanced(monotonic() - state["began"])

    def on_commit_initiated(self, consumer: Any) -> tuple[float, dict[Any, Any]]:
        return monotonic(), dict(consumer._committed_offset)

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        """Also called, every second, when there was nothing to commit."""
        began, before = state
        if before != consumer._committed_offset:
            self._committed(monotonic() - began)
