"""What the event loop's tasks wait for: for the log of a worker that must end because something never came."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import FrameType
from typing import Any

DEEPEST = 3
"""Frames told of each task, the innermost ones."""


def awaits() -> list[str]:
    """A line for each unfinished task of the running loop but the present one: its name, and the innermost places it awaits."""
    current = asyncio.current_task()
    return [f"{task.get_name()}: {' > '.join(_places(task)[-DEEPEST:])}" for task in asyncio.all_tasks() if task is not current]


def _places(task: asyncio.Task[Any]) -> list[str]:
    places, awaited = list[str](), task.get_coro()
    while awaited is not None:
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if not isinstance(frame, FrameType):
            break
        places.append(f"{frame.f_code.co_qualname} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return places


def _first(awaited: Any, *names: str) -> Any:
    return next((found for name in names if (found := getattr(awaited, name, None)) is not None), None)
