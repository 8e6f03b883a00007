"""Runs the trainer as a child process, while this process is the one that the group has elected."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import Protocol

import structlog

from streams.child_command import module_command
from streams.observing.model_metrics import ModelMetrics
from streams.settings import Settings
from streams.training.channel import Channel, Order, Report
from streams.training.relay import Relay

log = structlog.get_logger(__name__)

COMMAND = module_command("streams.training")
LOOK_EVERY_S = 0.1
RESTART_AFTER_S = (0.2, 1.0, 5.0)
"""Pauses before a trainer that has ended starts again, by the number of failures in a row."""
HEALTHY_S = 60.0
STARTS_WITHIN_S = 60.0
"""Time until the first report of a trainer, which imports PyTorch first."""
KILLED = -signal.SIGKILL
EXITS_WITHIN_S = 2.0
"""Time between the end of the channel and the end of the trainer, which says its exit code."""


class Group(Protocol):
    """What the election says: `streams.assembly.Application` in a worker.

    `TrainerProcess` reads the properties on the event loop, ten times a second. Reading returns at
    once and changes nothing. Example, a worker that is always elected:

        SimpleNamespace(elected=True, generation=1, rebalancing=False)
    """

    @property
    def elected(self) -> bool:
        """Whether this process owns the partition of the election topic."""
        ...

    @property
    def generation(self) -> int:
        """The group's generation: it rises with each rebalance."""
        ...

    @property
    def rebalancing(self) -> bool:
        """Whether a rebalance is under way. Nothing changes until it has ended."""
        ...


class TrainerProcess:
    """Starts the trainer, passes on its orders and its reports, and starts it again when it ends.

    A trainer that reports nothing for `stall_timeout_s` is killed, too.
    """

    def __init__(self, settings: Settings, metrics: ModelMetrics, group: Group) -> None:
        self._settings, self._metrics, self._group = settings, metrics, group
        self._relay = Relay(metrics)
        self._failures = 0
        self._heard_at, self._silent_at_most_s = 0.0, STARTS_WITHIN_S

    async def run(self) -> None:
        """Run a trainer whenever this process is elected, until cancelled. Then it is killed."""
        while True:
            while not self._wanted:
                await asyncio.sleep(LOOK_EVERY_S)
            began = time.monotonic()
            code = await self._run_one()
            if not self._wanted:
                log.info("trainer_dismissed")
                self._failures = 0
                continue
            self._failures = 0 if time.monotonic() - began > HEALTHY_S else self._failures + 1
            pause = RESTART_AFTER_S[min(self._failures, len(RESTART_AFTER_S)) - 1] if self._failures else 0.0
            log.warning("trainer_ended", code=code, failures=self._failures, again_in_s=pause)
            self._metrics.trainer_restarts.inc()
            await asyncio.sleep(pause)

    @property
    def _wanted(self) -> bool:
        return self._group.elected and not self._group.rebalancing

    @property
    def _dismissed(self) -> bool:
        return not self._group.elected and not self._group.rebalancing

    async def _run_one(self) -> int:
        """Run one trainer until it ends or another process is elected. Returns its exit code."""
        ours, its = socket.socketpair()
        with its:
            process = subprocess.Popen(  # noqa: ASYNC220  it takes milliseconds
                [*COMMAND, str(its.fileno())], pass_fds=(its.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True,
                env=os.environ | {"OUZEL_BROKER": self._settings.broker},
            )  # fmt: skip
        channel = await Channel.on(ours)
        self._relay.begin()
        try:
            ended = await self._attend(process.pid, channel)
            if ended:
                await asyncio.to_thread(_wait, process)
        finally:
            channel.close()
            self._relay.end()
            process.kill()
            _wait(process)
        return KILLED if process.returncode is None else process.returncode

    async def _attend(self, pid: int, channel: Channel) -> bool:
        """Give orders and take reports. Returns whether the trainer has ended; else it has to."""
        reports = asyncio.ensure_future(self._take_reports(channel))
        try:
            given = -1
            self._heard_at, self._silent_at_most_s = time.monotonic(), max(STARTS_WITHIN_S, self._settings.stall_timeout_s)
            while not (reports.done() or self._dismissed):
                if self._group.generation != given and self._wanted:
                    given = self._group.generation
                    channel.send(Order(given))
                silent_s = time.monotonic() - self._heard_at
                if silent_s > self._silent_at_most_s:
                    log.error("trainer_silent", seconds=round(silent_s), pid=pid)
                    return False
                await asyncio.wait((reports,), timeout=LOOK_EVERY_S)
            return reports.done()
        finally:
            reports.cancel()

    async def _take_reports(self, channel: Channel) -> None:
        """Take reports until the channel ends."""
        while (report := await channel.receive(Report)) is not None:
            self._heard_at, self._silent_at_most_s = time.monotonic(), self._settings.stall_timeout_s
            self._relay.take(report)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process that has closed its channel has ended."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(EXITS_WITHIN_S)
