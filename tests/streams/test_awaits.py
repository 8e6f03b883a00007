from __future__ import annotations

import asyncio

from streams.awaits import awaits


async def test_each_task_is_told_by_its_name_and_the_innermost_places_that_it_awaits() -> None:
    async def inner() -> None:
        await asyncio.Event().wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer(), name="a unit")
    await asyncio.sleep(0)
    (told,) = awaits()
    task.cancel()
    name, _, places = told.partition(": ")
    assert name == "a unit"
    outermost, middle, innermost = places.split(" > ")
    assert outermost.partition(" ")[0].endswith("outer")
    assert middle.startswith(f"{inner.__qualname__} (test_awaits.py:")
    assert innermost.startswith("Event.wait (locks.py:")
