"""What a worker keeps on disk, told every few seconds: RocksDB's own numbers, and how full the disk is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rocksdict import Rdict

from streams.observing.metrics import SessionMetrics

EVERY_S = 5.0
PROPERTIES = {
    "held": "rocksdb.estimate-num-keys",
    "size": "rocksdb.total-sst-files-size",
    "memory": "rocksdb.size-all-mem-tables",
    "pending": "rocksdb.estimate-pending-compaction-bytes",
    "compactions": "rocksdb.num-running-compactions",
    "stopped": "rocksdb.is-write-stopped",
}
"""RocksDB's properties by the names of `SessionMetrics`. Each is read in a microsecond or less, from counters in memory."""


class DiskWatch:
    """Sets the gauges of the sessions. ``databases`` gives those that are open now, by partition."""

    def __init__(self, folder: Path, databases: Callable[[], Mapping[int, Rdict]], metrics: SessionMetrics) -> None:
        self._folder, self._databases, self._metrics = folder, databases, metrics
        self._told: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Set every gauge once."""
        metrics = self._metrics
        with suppress(OSError):  # a folder that has gone: RocksDB will say so
            disk = shutil.disk_usage(self._folder)
            metrics.disk_free.set(disk.free)
            metrics.disk_size.set(disk.total)
        gauges: dict[str, Any] = {name: getattr(metrics, name) for name in PROPERTIES}
        found = dict(self._databases())
        for partition, database in found.items():
            for name, gauge in gauges.items():
                gauge.labels(str(partition)).set(database.property_int_value(PROPERTIES[name]) or 0)
        held = {str(partition) for partition in found}
        for label in self._told - held:
            for gauge in gauges.values():
                gauge.remove(label)
        self._told = held
