"""Recovery of the sessions: when it starts again, and when events may flow."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.tables.recovery import Recovery as FaustRecovery
from faust.types import TP

from streams.engine.recovery import Recovery


async def test_a_recovery_that_ends_without_a_stop_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recovery: Any = SimpleNamespace(should_stop=False, began=0)

    async def times_out(itself: Any) -> None:
        itself.began += 1
        itself.should_stop = itself.began == 3

    monkeypatch.setattr(FaustRecovery, "_restart_recovery", times_out)
    await Recovery._restart_recovery(recovery)
    assert recovery.began == 3


@pytest.mark.parametrize("overtaken", ["not", "by a generation", "by the start of a rebalance"])
async def test_no_event_flows_after_a_recovery_that_a_rebalance_overtook(overtaken: str) -> None:
    resumed: list[str] = []

    async def nothing(*_: Any) -> None: ...

    async def seek() -> None:
        app.consumer_generation_id += overtaken == "by a generation"
        app.rebalancing_count += overtaken == "by the start of a rebalance"

    async def wait(work: Any, timeout: float | None = None) -> None:
        await work

    def resume(*_: Any) -> None:
        resumed.append("flow")

    consumer = SimpleNamespace(
        assignment=lambda: {TP("events", 0)}, perform_seek=seek, resume_flow=resume, resume_partitions=lambda _: None
    )
    app: Any = SimpleNamespace(
        consumer=consumer, consumer_generation_id=4, rebalancing_count=3, conf=SimpleNamespace(broker_request_timeout=1.0),
        on_rebalance_complete=SimpleNamespace(send=nothing), producer=SimpleNamespace(wait_whole=nothing),
        flow_control=SimpleNamespace(resume=lambda: None), _fetcher=SimpleNamespace(maybe_start=nothing),
        assignor=SimpleNamespace(assigned_standbys=set), on_rebalance_end=lambda: None, on_recovered=lambda _: None,
        lease=SimpleNamespace(clock=lambda: 0.0),
    )  # fmt: skip
    recovery: Any = Recovery.__new__(Recovery)
    recovery.__dict__.update(
        app=app,
        _rebalance=3,
        _began=0.0,
        _removed={},
        completed=asyncio.Event(),
        _wait=wait,
        _check_positions=nothing,
        _set_recovery_ended=lambda: None,
        _is_changelog_tp=lambda _: False,
        tables=SimpleNamespace(values=tuple, on_actives_ready=lambda: None, on_standbys_ready=lambda: None),
    )
    await recovery.on_recovery_completed(4)
    assert resumed == (["flow"] if overtaken == "not" else [])
    assert recovery.completed.is_set() is (overtaken == "not")
