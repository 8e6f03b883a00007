"""The stall watch ends a worker whose consumer has stopped silently.

This happens (Faust's issues 175, 532, 640), and the missing commits are the only sign of it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from streams.engine.faust_app import App


class StallWatch:
    """Notices that progress has stopped for ``limit_s`` although there is work.

    Of the time between two calls, at most a tenth of the limit counts. So a process that was
    frozen, or suspended with the machine, does not count as stalled. Call it more often than every
    tenth of the limit. Pure except for its clock.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit_s, clock
        self._looked_at, self._still = clock(), 0.0
        self._seen: object = None

    def stalled(self, progress: object, *, behind: bool) -> bool:
        """Return whether work has stalled.

        ``progress`` is a value that changes with work, and ``behind`` says whether there is work.
        """
        now = self._clock()
        self._still += min(now - self._looked_at, self._limit / 10)
        self._looked_at = now
        if not behind or progress != self._seen:
            self._seen, self._still = progress, 0.0
        return self._still > self._limit


class Watchdog:
    """Ends a worker that makes no progress although it could.

    A worker with a fresh lease and work has to commit or recover. A worker with a stale lease waits
    for the group. But if the group answers another client for longer than a rebalance may last,
    the worker waits in vain. ``group_answers`` says whether the group answers a new client;
    ``fail`` ends the process.
    """

    def __init__(
        self, app: App, limit_s: float, group_answers: Callable[[], Awaitable[bool]], fail: Callable[[BaseException], None]
    ) -> None:
        self._app, self._limit, self._group_answers, self._fail = app, limit_s, group_answers, fail
        self._tried_at, self._answered = -math.inf, False
        # recovery waits for the end of a transaction that a dead worker left open
        left_open = app.transaction_timeout_ms / 1000 if app.exactly_once else 0.0
        self._works = StallWatch(limit_s + left_open, app.lease.clock)
        joins_within = limit_s + app.conf.broker_rebalance_timeout + app.conf.broker_request_timeout
        self._joins = StallWatch(joins_within, app.lease.clock)

    async def run(self) -> None:
        """Check 20 times per limit, for ever."""
        while True:
            await asyncio.sleep(self._limit / 20)
            await self.look()

    async def look(self) -> None:
        """Check once, and fail the worker if it has stalled."""
        app = self._app
        if not app.consumer.begun:
            return
        if (trouble := app.consumer.trouble()) is not None:
            self._fail(trouble)
        progress, behind = app.consumer.progress()
        works = app.lease.fresh and (app.in_recovery or not app.rebalancing)
        if self._works.stalled(progress, behind=behind and works):
            self._fail(TimeoutError(f"no commit and no recovery for {self._limit:.0f} s, although there is work"))
        others_join = not app.lease.fresh and await self._group_answers_others()
        if self._joins.stalled(None, behind=others_join and not app.lease.fresh):
            self._fail(TimeoutError("the group answers other clients, but this worker cannot join it"))

    async def _group_answers_others(self) -> bool:
        """Return whether the group answers a new client; try at most once per quarter of the limit.

        Each attempt makes a connection, and logs a line if it fails.
        """
        now = self._app.lease.clock()
        if now - self._tried_at >= self._limit / 4:
            self._tried_at, self._answered = now, await self._group_answers()
        return self._answered
