"""What has ended a consumer, from the tasks and the error that aiokafka keeps."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine import upstream
from streams.engine.thread import ConsumerThread

PLAN, FETCH = RuntimeError("no plan"), RuntimeError("no fetch")


async def running() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


async def ended(error: Exception | None = None) -> asyncio.Future[None]:
    future = await running()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


async def trouble(monkeypatch: pytest.MonkeyPatch, *tasks: asyncio.Future[None], pending: Exception | None = None) -> Any:
    monkeypatch.setattr(upstream, "background_tasks", lambda _: tasks)
    monkeypatch.setattr(upstream, "pending_error", lambda _: pending)
    thread: Any = SimpleNamespace(_ensure_consumer=lambda: None)
    return ConsumerThread.trouble(thread)


async def test_a_running_consumer_has_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await trouble(monkeypatch, await running(), await running()) is None


async def test_the_error_is_reported_whichever_task_has_ended_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await trouble(monkeypatch, await ended(), await ended(FETCH)) is FETCH
    assert await trouble(monkeypatch, await ended(), await running(), pending=PLAN) is PLAN
    assert await trouble(monkeypatch, await running(), await running(), pending=PLAN) is PLAN


async def test_a_consumer_that_ended_without_an_error_is_trouble_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "has ended" in str(await trouble(monkeypatch, await ended(), await running()))
