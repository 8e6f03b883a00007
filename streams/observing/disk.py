"""Metrics of the disk, every few seconds: RocksDB's own numbers, and the free space."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from prometheus_client import Gauge
from rocksdict import Rdict

from streams.observing.metrics import SessionMetrics

EVERY_S = 5.0
"""Seconds between two updates of the gauges."""
PROPERTIES = {
    "keys": "rocksdb.estimate-num-keys",
    "size": "rocksdb.total-sst-files-size",
    "memory": "rocksdb.size-all-mem-tables",
    "pending": "rocksdb.estimate-pending-compaction-bytes",
    "compactions": "rocksdb.num-running-compactions",
    "stopped": "rocksdb.is-write-stopped",
}
"""RocksDB's properties by the attributes of `SessionMetrics`.

Each is read from counters in memory, in a microsecond or less.
"""


class DiskWatch:
    """Sets the gauges of the sessions.

    ``databases`` returns the open databases by partition.
    """

    def __init__(self, folder: Path, databases: Callable[[], Mapping[int, Rdict]], metrics: SessionMetrics) -> None:
        self._folder, self._databases, self._metrics = folder, databases, metrics
        self._labels: set[str] = set()

    async def run(self) -> None:
        """Set the gauges every few seconds, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Set every gauge once."""
        metrics = self._metrics
        with suppress(OSError):  # the folder is gone: RocksDB will report it
            disk = shutil.disk_usage(self._folder)
            metrics.disk_free.set(disk.free)
            metrics.disk_size.set(disk.total)
        gauges: dict[str, Gauge] = {name: getattr(metrics, name) for name in PROPERTIES}
        databases = dict(self._databases())
        for partition, database in databases.items():
            for name, gauge in gauges.items():
                gauge.labels(str(partition)).set(database.property_int_value(PROPERTIES[name]) or 0)
        labels = {str(partition) for partition in databases}
        for label in self._labels - labels:  # other workers have these partitions now
            for gauge in gauges.values():
                gauge.remove(label)
        self._labels = labels
