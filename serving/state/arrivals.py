"""Who waits for a ranking: requests for the one after their event, and streams for each that comes. Pure of HTTP and Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.state.cache import CachedRanking

QUEUED = 8
"""Rankings that wait for a slow stream, at most; then the oldest of them go."""


class RankingStream:
    """The rankings of one stream that its client has not taken yet; ``None`` among them says that the user was deleted."""

    def __init__(self, most: int, skipped: Callable[[], None]) -> None:
        self._queue: deque[CachedRanking | None] = deque()
        self._most, self._skipped = most, skipped
        self._wakes = asyncio.Event()
        self.ended = False

    def put(self, ranking: CachedRanking | None) -> None:
        """Add one."""
        if len(self._queue) == self._most:
            self._queue.popleft()
            self._skipped()
        self._queue.append(ranking)
        self._wakes.set()

    def end(self) -> None:
        """No more comes."""
        self.ended = True
        self._wakes.set()

    async def wait(self, timeout_s: float) -> bool:
        """Until there is something to `take`, or the end; whether there is."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wakes.wait()
        except TimeoutError:
            return False
        return bool(self._queue)

    def take(self) -> list[CachedRanking | None]:
        """What came since the last time."""
        taken = list(self._queue)
        self._queue.clear()
        if not self.ended:
            self._wakes.clear()
        return taken


class Arrivals:
    """Tells of rankings as they come. ``skipped`` is told of each that a slow stream did not get."""

    def __init__(self, skipped: Callable[[], None]) -> None:
        self._skipped = skipped
        self._waiting: dict[tuple[int, str], set[tuple[int, asyncio.Future[CachedRanking]]]] = defaultdict(set)
        self._streams: dict[str, set[RankingStream]] = defaultdict(set)
        self._everybodys: set[RankingStream] = set()
        self._ended = False

    def __len__(self) -> int:
        return sum(map(len, self._streams.values())) + len(self._everybodys)

    def of(self, owner: str) -> int:
        """How many streams an owner has."""
        return len(self._streams.get(owner, ()))

    def arrived(self, ranking: CachedRanking) -> None:
        """A ranking came."""
        for offset, future in self._waiting.get((ranking.partition, ranking.owner), ()):
            if ranking.trigger_offset >= offset and not future.done():
                future.set_result(ranking)
        for stream in self._streams.get(ranking.owner, ()):
            stream.put(ranking)
        for stream in self._everybodys:
            stream.put(ranking)

    def removed(self, owner: str) -> None:
        """An owner was deleted."""
        for stream in self._streams.get(owner, ()):
            stream.put(None)

    async def after(self, owner: str, partition: int, offset: int, timeout_s: float) -> CachedRanking | None:
        """The first ranking of this owner and partition for an event at or past this offset; ``None`` if none comes in time."""
        future: asyncio.Future[CachedRanking] = asyncio.get_running_loop().create_future()
        place, entry = (partition, owner), (offset, future)
        self._waiting[place].add(entry)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self._waiting[place].discard(entry)
            if not self._waiting[place]:
                del self._waiting[place]

    @contextmanager
    def stream(self, owner: str | None) -> Iterator[RankingStream]:
        """A stream of an owner's rankings, or of everybody's, while the context is entered."""
        stream = RankingStream(QUEUED, self._skipped) if owner is not None else RankingStream(1, _nobody)
        streams = self._everybodys if owner is None else self._streams[owner]
        streams.add(stream)
        if self._ended:
            stream.end()
        try:
            yield stream
        finally:
            streams.discard(stream)
            if owner is not None and not streams:
                self._streams.pop(owner, None)

    def end(self) -> None:
        """End every stream, those that begin later too."""
        self._ended = True
        for streams in (*self._streams.values(), self._everybodys):
            for stream in streams:
                stream.end()


def _nobody() -> None:
    """A sample leaves out most of it."""
