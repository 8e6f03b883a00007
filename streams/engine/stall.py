"""The stall watch: a consumer may stop silently (Faust's issues 175, 532, 640), and then only its commits tell."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any


class StallWatch:
    """Tells when nothing moved for ``limit_s`` although something should. Pure but for its clock; look often.

    Between two looks a tenth of the limit counts at most: whoever was frozen, or suspended with the machine, is not at fault.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit_s, clock
        self._looked_at, self._still = clock(), 0.0
        self._seen: object = None

    def stalled(self, progress: object, *, behind: bool) -> bool:
        """Whether it has stalled. ``progress`` is whatever must change while there is work; ``behind`` says that there is."""
        now = self._clock()
        self._still += min(now - self._looked_at, self._limit / 10)
        self._looked_at = now
        if not behind or progress != self._seen:
            self._seen, self._still = progress, 0.0
        return self._still > self._limit


class Watchdog:
    """Ends a worker that could go on and does not. ``group_answers`` says whether a new client would reach the group.

    A worker with a fresh lease and work must commit or recover. One with a stale lease waits for the group, but if another
    client reaches it for longer than a rebalance may last, then it waits for nothing.
    """

    def __init__(
        self, app: Any, limit_s: float, group_answers: Callable[[], Awaitable[bool]], fail: Callable[[BaseException], None]
    ) -> None:
        self._app, self._limit, self._group_answers, self._fail = app, limit_s, group_answers, fail
        self._asked_at, self._answered = -math.inf, False
        left_open = app.transaction_timeout_ms / 1000 if app.exactly_once else 0.0  # a dead worker's, which recovery waits for
        self._works = StallWatch(limit_s + left_open, app.lease.clock)
        joins_within = limit_s + app.conf.broker_rebalance_timeout + app.conf.broker_request_timeout
        self._joins = StallWatch(joins_within, app.lease.clock)

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._limit / 20)
            await self.look()

    async def look(self) -> None:
        """Look once."""
        app = self._app
        if not app.consumer.begun:
            return
        if (trouble := app.consumer.trouble()) is not None:
            self._fail(trouble)
        progress, behind = app.consumer.progress()
        works = app.lease.fresh and (app.in_recovery or not app.rebalancing)
        if self._works.stalled(progress, behind=behind and works):
            self._fail(TimeoutError(f"no commit and no recovery in {self._limit:.0f} s, and there is work"))
        others = not app.lease.fresh and await self._others_get_in()
        if self._joins.stalled(None, behind=others and not app.lease.fresh):
            self._fail(TimeoutError("the group answers others, and this worker does not get into it"))

    async def _others_get_in(self) -> bool:
        """Asked a few times in ``limit_s`` only, as each time is a connection, and a line in the log if it fails."""
        now = self._app.lease.clock()
        if now - self._asked_at >= self._limit / 4:
            self._asked_at, self._answered = now, await self._group_answers()
        return self._answered
