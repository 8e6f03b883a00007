"""Leaving the group: what we wait for, and for how long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import faust
import pytest

from streams.engine.faust_app import App
from streams.engine.thread import leave_group

WITHIN_S = 0.1


class Coordinator:
    """The part of aiokafka's that leaving uses; ``rejoining`` is its rebalance under way."""

    def __init__(self, rejoining: Any, member_id: str = "member", instance: str | None = None, *, frozen: bool = False) -> None:
        self._coordination_task = asyncio.ensure_future(rejoining)
        self._group_instance_id = instance
        self._client = SimpleNamespace(send=self.send)
        self._frozen = frozen
        self.group_id, self.member_id, self.coordinator_id = "group", member_id, 7
        self.closed, self.left = False, list[tuple[int, str]]()

    async def close(self) -> None:
        await self._coordination_task
        if self._frozen:
            await asyncio.Event().wait()
        self.closed = True

    async def send(self, node: int, request: Any) -> None:
        if self._frozen:
            await asyncio.Event().wait()
        self.left.append((node, request._member_id))


async def delayed() -> None:
    await asyncio.Event().wait()


async def test_leaving_waits_for_a_rebalance_that_ends_in_time() -> None:
    coordinator = Coordinator(asyncio.sleep(WITHIN_S / 4))
    await leave_group(coordinator, WITHIN_S)
    assert coordinator.closed
    assert coordinator.left == []


@pytest.mark.parametrize(
    ("member_id", "instance", "left"), [("member", None, [(7, "member")]), ("", None, []), ("m", "static", [])]
)
async def test_a_join_that_the_group_delays_is_cancelled(
    member_id: str, instance: str | None, left: list[tuple[int, str]]
) -> None:
    coordinator = Coordinator(delayed(), member_id, instance)
    await leave_group(coordinator, WITHIN_S)
    assert coordinator._coordination_task.cancelled()
    assert coordinator.left == left


async def test_leaving_does_not_wait_for_a_broker_that_answers_nothing() -> None:
    coordinator = Coordinator(asyncio.sleep(0), frozen=True)
    await asyncio.wait_for(leave_group(coordinator, WITHIN_S), 20 * WITHIN_S)
    assert (coordinator.closed, coordinator.left) == (False, [])


async def test_the_unit_in_flight_ends_before_we_rejoin_even_while_the_app_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    async def wait_empty() -> None:
        order.append("the unit ends")

    async def upstream(*_: Any) -> None:
        order.append("we rejoin")

    class Stopping(App):
        should_stop = property(lambda _: True)  # type: ignore[assignment]
        consumer = SimpleNamespace(wait_empty=wait_empty)

        def __init__(self) -> None: ...

    monkeypatch.setattr(faust.App, "_on_partitions_revoked", upstream)
    await Stopping()._on_partitions_revoked(set())
    assert order == ["the unit ends", "we rejoin"]
