"""A producer of a worker or an intake sends nothing without the lease."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.producer.sender import Sender

from streams.engine.lease import Lease
from streams.engine.producer import LeasedSender
from streams.errors import Abandoned


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_request_leaves_the_producer_only_under_the_lease(fresh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []

    async def send(self: Sender, node_id: int, batches: object) -> None:
        sent.append(batches)

    monkeypatch.setattr(Sender, "_send_produce_req", send)
    lost: list[bool] = []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sender: Any = LeasedSender.__new__(LeasedSender)
    lease = Lease(10.0, lambda: 100.0)
    sender.member = SimpleNamespace(lease=lease, consumer_generation_id=4, holds=lambda generation: False)
    sender.on_lost, sender._in_flight, sender._muted_partitions = lambda: lost.append(True), {1}, {"events-0"}
    if fresh:
        lease.beat(100.0)
    batches = {"events-0": SimpleNamespace(future=future, failure=future.set_exception)}
    await sender._send_produce_req(1, batches)
    assert (sent, lost) == (([batches], []) if fresh else ([], [True]))
    if not fresh:
        assert isinstance(future.exception(), Abandoned)
        assert (sender._in_flight, sender._muted_partitions) == (set(), set())
