"""The parent of a trainer: it starts one when elected, replaces it, and ends it.

The trainers here are small scripts that speak over the channel.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.processes.running import fresh_settings, wait_until

from streams.child_command import module_command
from streams.observing.telemetry import Telemetry
from streams.training import child
from streams.training.child import TrainerProcess

REPORTS = """
import os, socket, sys, time
end = socket.socket(fileno=int(sys.argv[1]))
note = open(os.environ["NOTE"], "a")
print("pid", os.getpid(), file=note, flush=True)
lines = end.makefile("rb")
for line in lines:
    print("order", line.decode().strip(), file=note, flush=True)
    end.sendall(b'{"totals": {"learned": 5}, "levels": {}}\\n')
"""
ENDS = "import os; print('pid', os.getpid(), file=open(os.environ['NOTE'], 'a')); raise SystemExit(70)"


@asynccontextmanager
async def parent(
    monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, **changes: object
) -> AsyncIterator[tuple[Any, Telemetry, Callable[[], list[str]]]]:
    """A parent with a group, its telemetry, and what its trainers have noted."""
    monkeypatch.setattr(child, "COMMAND", [sys.executable, "-S", "-c", script])
    monkeypatch.setattr(child, "RESTART_AFTER_S", (0.01,))
    monkeypatch.setattr(child, "STARTS_WITHIN_S", 0.0)
    monkeypatch.setenv("NOTE", str(folder / "note"))
    (folder / "note").touch()
    group, telemetry = SimpleNamespace(elected=True, generation=3, rebalancing=False), Telemetry()
    running = asyncio.ensure_future(
        TrainerProcess(fresh_settings("127.0.0.1:1", folder, **changes), telemetry.model, group).run()
    )
    try:
        yield group, telemetry, lambda: (folder / "note").read_text().splitlines()
    finally:
        running.cancel()
        await asyncio.wait({running})


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def running(pid: str) -> bool:
    try:
        os.kill(int(pid.split()[1]), 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_trainer_runs_while_this_process_is_elected_and_gets_each_generation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with parent(monkeypatch, tmp_path, REPORTS) as (group, telemetry, notes):
        await until(lambda: telemetry.registry.get_sample_value("ouzel_transitions_learned_total") == 5)
        group.rebalancing, group.generation = True, 4
        await asyncio.sleep(0.25)
        assert len(notes()) == 2, "nothing changes during a rebalance"
        group.rebalancing = False
        await until(lambda: len(notes()) == 3)
        assert notes()[1:] == ['order {"generation":3}', 'order {"generation":4}']
        group.elected = False
        await until(lambda: not running(notes()[0]))
        assert telemetry.registry.get_sample_value("ouzel_trainer_restarts_total") == 0
        group.elected = True
        await until(lambda: len(notes()) >= 5)
    await until(lambda: not any(running(note) for note in notes() if note.startswith("pid")))


async def test_a_trainer_that_ends_is_started_again_and_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with parent(monkeypatch, tmp_path, ENDS) as (_, telemetry, notes):
        await until(lambda: len(notes()) >= 3)
        assert (telemetry.registry.get_sample_value("ouzel_trainer_restarts_total") or 0) >= 2


async def test_a_trainer_that_reports_nothing_for_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    silent = REPORTS.replace("for line in lines:", "time.sleep(1000)\nfor line in lines:")
    async with parent(monkeypatch, tmp_path, silent, stall_timeout_s=5.0) as (_, _, notes):
        monkeypatch.setattr(child.time, "monotonic", _ten_times_as_fast(child.time.monotonic))
        await until(lambda: len(notes()) >= 2)
        await until(lambda: not running(notes()[0]))


def _ten_times_as_fast(clock: Callable[[], float]) -> Callable[[], float]:
    return lambda: 10 * clock()


def test_the_real_trainer_ends_when_its_parent_has_gone_even_if_it_was_frozen() -> None:
    """A parent that is killed closes its end of the channel, as every end of a process does."""
    ours, its = socket.socketpair()
    process = subprocess.Popen(module_command("streams.training", str(its.fileno())), pass_fds=(its.fileno(),))
    its.close()
    process.send_signal(signal.SIGSTOP)
    ours.close()
    wait_until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "frozen", 10)
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
