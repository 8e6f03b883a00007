"""Recovery of the sessions: which changelog record wins, and when events may flow again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.tables.recovery import Recovery as FaustRecovery
from faust.types import TP

from streams.engine.recovery import Recovery, newest


def change(key: bytes, source: int, text: bytes | None) -> Any:
    if text is None:
        return SimpleNamespace(key=key, value=None, headers=[("offset", str(source).encode())])
    return SimpleNamespace(key=key, value=source.to_bytes(8, "big") + text, headers=[])


def folded(records: list[Any], stored: dict[bytes, bytes] | None = None) -> dict[bytes, tuple[int, bytes | None]]:
    return newest(records, (stored or {}).get, {})


def test_the_highest_source_offset_wins_whatever_the_order() -> None:
    late, early = change(b"a", 9, b"new"), change(b"a", 4, b"old")
    for records in ([late, early], [early, late]):
        assert folded(records) == {b"a": (9, late.value)}


def test_what_is_stored_and_newer_stays() -> None:
    assert folded([change(b"a", 4, b"old")], {b"a": change(b"a", 9, b"new").value}) == {}
    assert folded([change(b"a", 4, None)], {b"a": change(b"a", 9, b"new").value}) == {}


def test_a_tombstone_removes_what_is_older_and_a_zombies_record_after_it_does_not_come_back() -> None:
    removed: dict[bytes, int] = {}
    assert newest([change(b"a", 9, None)], {b"a": change(b"a", 4, b"old").value}.get, removed) == {b"a": (9, None)}
    assert newest([change(b"a", 5, b"zombie")], {}.get, removed) == {}


async def test_a_recovery_that_ends_without_being_stopped_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recovery: Any = SimpleNamespace(should_stop=False, began=0)

    async def times_out(found: Any) -> None:
        found.began += 1
        found.should_stop = found.began == 3

    monkeypatch.setattr(FaustRecovery, "_restart_recovery", times_out)
    await Recovery._restart_recovery(recovery)
    assert recovery.began == 3


@pytest.mark.parametrize("overtaken", ["not", "by a generation", "by the start of a rebalance"])
async def test_a_recovery_that_a_rebalance_overtakes_lets_nothing_flow(overtaken: str) -> None:
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
        _refuse_events_ahead=nothing,
        _set_recovery_ended=lambda: None,
        _is_changelog_tp=lambda _: False,
        tables=SimpleNamespace(values=tuple, on_actives_ready=lambda: None, on_standbys_ready=lambda: None),
    )
    await recovery.on_recovery_completed(4)
    assert resumed == (["flow"] if overtaken == "not" else [])
    assert recovery.completed.is_set() is (overtaken == "not")
