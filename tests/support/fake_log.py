"""A log of one partition without Kafka, whose consumers meet the faults that a test injects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from aiokafka import TopicPartition

from streams.kafka import retry
from streams.wire.record import Record

TP = TopicPartition("items", 0)


class Log:
    """The log of one partition, and the faults that its next consumers meet, in order.

    ``faults`` has a pair for each: the name of a consumer's method, and the error that it raises.
    """

    def __init__(self, *faults: tuple[str, Exception]) -> None:
        self.faults = list(faults)
        self.end = 0
        self.stable: int | None = None
        """The end of the committed records, if a transaction is open."""
        self.open = self.consumers = self.asked_while_fetching = 0

    def meet(self, method: str) -> None:
        if self.faults and self.faults[0][0] == method:
            raise self.faults.pop(0)[1]


class FakeConsumer:
    """Reads `Log` two records at a time."""

    def __init__(self, log: Log) -> None:
        self._log, self._at, self.paused = log, 0, False
        log.consumers += 1
        log.open += 1

    async def start(self) -> None:
        self._log.meet("start")

    async def stop(self) -> None:
        self._log.open -= 1

    def assignment(self) -> set[TopicPartition]:
        return set() if self._log.faults and self._log.faults[0][0] == "assignment" and self._log.faults.pop(0) else {TP}

    async def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        self._at = 0

    async def seek_to_end(self, *partitions: TopicPartition) -> None:
        self._log.meet("seek_to_end")
        self._at = self._log.end

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._at = offset

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        self._log.meet("end_offsets")
        self._log.asked_while_fetching += not self.paused
        return {TP: self._log.end}

    async def position(self, tp: TopicPartition) -> int:
        return self._at

    def highwater(self, tp: TopicPartition) -> int:
        return self._log.end

    def last_stable_offset(self, tp: TopicPartition) -> int:
        return self._log.end if self._log.stable is None else self._log.stable

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused = True

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused = False

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        await asyncio.sleep(0)
        assert not self.paused, "aiokafka would drop what it has fetched"
        if self._at >= 2:
            self._log.meet("getmany")
        offsets = range(self._at, min(self._at + 2, self.last_stable_offset(TP)))
        self._at = max(self._at, offsets.stop)
        return {TP: [Record("items", 0, offset, 0, None, b"", ()) for offset in offsets]} if offsets else {}


def follow(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every follower of this test read this log, and retry without pauses."""
    monkeypatch.setattr("streams.kafka.follower.aiokafka_consumer", lambda *_, **__: FakeConsumer(log))
    monkeypatch.setattr(retry, "PATIENT_S", 0.0)
