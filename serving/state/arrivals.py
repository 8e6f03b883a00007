"""Passes new rankings to the requests and streams that wait for them.

A request waits for the ranking that its event triggers; a stream for every ranking of a user. Pure
of HTTP and Kafka.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.state.cache import CachedRanking

QUEUED = 8
"""Maximum number of rankings that wait for a slow client. Beyond it, the oldest are skipped."""
QUEUED_BYTES = 65_536
"""Maximum memory of the rankings that wait for a slow client, unless the newest alone is larger."""


class RankingStream:
    """The rankings that one client of a stream has not taken yet.

    ``None`` among them stands for the deletion of the user.
    `Arrivals` calls `put` and `end`; the response of the stream calls `wait`, then `take`, in turn.
    Both run on one event loop. ``skipped`` is called for each ranking that a slow client misses.
    """

    def __init__(self, capacity: int, skipped: Callable[[], None]) -> None:
        self._queue: deque[CachedRanking | None] = deque()
        self._capacity, self._skipped = capacity, skipped
        self._bytes = 0
        self._wakes = asyncio.Event()
        self.ended = False

    def put(self, ranking: CachedRanking | None) -> None:
        """Append a ranking, and skip the oldest ones that the full queue has no room for."""
        size = _size(ranking)
        while self._queue and (len(self._queue) == self._capacity or self._bytes + size > QUEUED_BYTES):
            self._bytes -= _size(self._queue.popleft())
            self._skipped()
        self._queue.append(ranking)
        self._bytes += size
        self._wakes.set()

    def wake(self) -> None:
        """End a `wait` now, so that its caller checks again whether the client is admitted."""
        self._wakes.set()

    def end(self) -> None:
        """End the stream: no more rankings follow."""
        self.ended = True
        self._wakes.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to `take`, the stream ends or wakes, or the time is over.

        Returns whether there is something to take.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._wakes.wait()
        except TimeoutError:
            return False
        if not self._queue and not self.ended:
            self._wakes.clear()
        return bool(self._queue)

    def take(self) -> list[CachedRanking | None]:
        """Return and remove what has come since the last call."""
        taken = list(self._queue)
        self._queue.clear()
        self._bytes = 0
        if not self.ended:
            self._wakes.clear()
        return taken


class Arrivals:
    """Passes each ranking on to the requests and streams that wait for it.

    The service calls `arrived`, `removed`, `wake` and `end`; requests call the rest. All of them
    run on one event loop. ``skipped`` is called for each ranking that a slow stream misses.
    """

    def __init__(self, skipped: Callable[[], None]) -> None:
        self._skipped = skipped
        self._waiting: dict[tuple[int, str], set[tuple[int, asyncio.Future[CachedRanking]]]] = defaultdict(set)
        """Waiting requests, by partition and owner: each has a lowest trigger offset and a future.
        """
        self._streams: dict[str, set[RankingStream]] = defaultdict(set)
        self._samples: set[RankingStream] = set()
        self._ended = False

    def __len__(self) -> int:
        return sum(map(len, self._streams.values())) + len(self._samples)

    def streams_of(self, owner: str) -> int:
        """Return how many streams of an owner's rankings are open."""
        return len(self._streams.get(owner, ()))

    def arrived(self, ranking: CachedRanking) -> None:
        """Pass on a ranking that was just read from the topic."""
        for offset, future in self._waiting.get((ranking.partition, ranking.owner), ()):
            if ranking.trigger_offset >= offset and not future.done():
                future.set_result(ranking)
        for stream in self._streams.get(ranking.owner, ()):
            stream.put(ranking)
        for stream in self._samples:
            stream.put(ranking)

    def removed(self, owner: str) -> None:
        """Pass on that an owner was deleted."""
        for stream in self._streams.get(owner, ()):
            stream.put(None)

    @property
    def waiting(self) -> int:
        """For how many owners and partitions a request waits."""
        return len(self._waiting)

    async def after(self, owner: str, partition: int, offset: int, timeout_s: float) -> CachedRanking | None:
        """Wait for the first ranking whose trigger is at this offset of this partition, or later.

        Returns ``None`` if this owner gets no such ranking in time.
        """
        future: asyncio.Future[CachedRanking] = asyncio.get_running_loop().create_future()
        key, waiting = (partition, owner), (offset, future)
        self._waiting[key].add(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self._waiting[key].discard(waiting)
            if not self._waiting[key]:
                del self._waiting[key]

    @contextmanager
    def stream(self, owner: str | None) -> Iterator[RankingStream]:
        """Open a stream while the context is entered.

        The stream has the rankings of an owner or, without an owner, a sample of all rankings.
        """
        stream = RankingStream(QUEUED, self._skipped) if owner is not None else RankingStream(1, _ignore)
        streams = self._samples if owner is None else self._streams[owner]
        streams.add(stream)
        if self._ended:
            stream.end()
        try:
            yield stream
        finally:
            streams.discard(stream)
            if owner is not None and not streams:
                self._streams.pop(owner, None)

    def wake(self) -> None:
        """Wake every open stream: the keys have changed, and may no longer admit its client."""
        for streams in (*self._streams.values(), self._samples):
            for stream in streams:
                stream.wake()

    def end(self) -> None:
        """End every open stream. A stream that is opened later ends at once."""
        self._ended = True
        for streams in (*self._streams.values(), self._samples):
            for stream in streams:
                stream.end()


def _size(ranking: CachedRanking | None) -> int:
    return 0 if ranking is None else ranking.size


def _ignore() -> None:
    """Do nothing: a sample skips most rankings on purpose, so they are not counted."""
