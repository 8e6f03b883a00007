"""Lets large requests work one after another, in small parts, so that they do not stall others."""

from __future__ import annotations

import asyncio

RECORDS_AT_ONCE = 20
"""How many records of one request are decoded before others run: about one millisecond."""


class Turns:
    """The turns of one event loop.

    A large request calls `pause` before each part of its work. Each pass of the loop lets one of
    them go on, so the other requests wait for one part at most, however many are large.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def pause(self) -> None:
        """Wait for this request's turn. Its next part begins when this returns."""
        async with self._turn:
            await asyncio.sleep(0)

    async def pause_at(self, position: int) -> None:
        """Do so before each record that begins another part. Positions count from 0."""
        if position and position % RECORDS_AT_ONCE == 0:
            await self.pause()
