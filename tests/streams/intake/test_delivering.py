"""The intake writes its outputs before its offsets, and nothing once it has lost its place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError

from streams.engine.lease import Lease
from streams.engine.transactions import Membership
from streams.errors import Abandoned
from streams.intake import delivering
from streams.intake.consuming import SourceReader
from streams.intake.delivering import AtLeastOnce
from streams.intake.rekeying import Unit
from streams.settings import Settings

ME = Membership(3, "me", None)


class Kafka:
    """What a delivery does, in order. ``refuses`` is the error of each step that fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **refuses: Exception) -> None:
        self.did: list[str] = []

        def step(name: str) -> Any:
            async def do(*_: object) -> Any:
                self.did.append(name)
                if name in refuses:
                    raise refuses[name]

            return do

        monkeypatch.setattr(delivering, "_send", step("send"))
        monkeypatch.setattr(delivering, "close_unflushed", step("close"))
        monkeypatch.setattr(AtLeastOnce, "_started", step("start"))
        self.consumer: Any = SimpleNamespace(commit=step("commit"))

    async def deliver(self) -> None:
        member: Any = SimpleNamespace(lease=Lease(6.0))
        delivery = AtLeastOnce(Settings(), self.consumer, member)
        await delivery.start()
        await delivery.deliver(Unit(), ME)


async def test_the_offsets_are_committed_once_the_outputs_are_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(monkeypatch)
    await kafka.deliver()
    assert kafka.did == ["start", "send", "commit"]


async def test_a_unit_without_the_lease_is_not_committed_and_its_producer_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(monkeypatch, send=Abandoned())
    with pytest.raises(Abandoned):
        await kafka.deliver()
    assert kafka.did == ["start", "send", "close", "start"]


async def test_offsets_that_the_group_rejects_abandon_the_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    kafka = Kafka(monkeypatch, commit=CommitFailedError())
    with pytest.raises(Abandoned):
        await kafka.deliver()
    assert kafka.did == ["start", "send", "commit"]


async def test_an_intake_holds_its_partitions_until_the_group_rebalances(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its unit then waits no longer for the lease, because the rebalance waits for the unit."""
    monkeypatch.setattr(
        "streams.intake.consuming.aiokafka_consumer", lambda **_: SimpleNamespace(subscribe=lambda *_, **__: None)
    )
    monkeypatch.setattr(SourceReader, "membership", ME)
    reader = SourceReader(Settings(), ["clicks"], lambda topic, records: None)
    assert reader.holds(3)
    assert not reader.holds(2)
    await reader.on_partitions_revoked([])
    assert not reader.holds(3)
    await reader.on_partitions_assigned([])
    assert reader.holds(3)
