"""What the journey needs, in memory: a store of one partition, and a ranker that ranks nothing."""

from __future__ import annotations

from typing import Any

from models.baselines.null import NullRecommender
from streams.sessions.deletion import MARKER, deleted_at
from streams.sessions.store import Changes


class NullRanker:
    """A `Ranker` that recommends no item."""

    async def rank(self, queries: Any, k: int) -> tuple[Any, list[str], int]:
        return NullRecommender().rank(queries, k), [], 0


class DictStore:
    """A `SessionStore` of one partition, without expiry."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self._watermark = self._changelog = -1

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.values.get(key)

    def watermark(self, partition: int) -> int:
        return self._watermark

    def changelog_offset(self, partition: int) -> int:
        return self._changelog

    def markers(self, partition: int) -> dict[bytes, int]:
        return {key: deleted_at(value) for key, value in self.values.items() if key.startswith(MARKER)}

    def refresh(self) -> None: ...

    def expired(self, partition: int, now_ms: int, ttl_ms: int, marker_ttl_ms: int | None) -> list[bytes]:
        return []

    def write(self, partition: int, changes: Changes, changelog_offset: int) -> None:
        self.values |= changes.states | changes.markers
        for key in changes.removals:
            self.values.pop(key, None)
        self._watermark, self._changelog = changes.watermark, changelog_offset
