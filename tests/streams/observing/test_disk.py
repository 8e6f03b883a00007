from __future__ import annotations

import shutil
from pathlib import Path

from prometheus_client import generate_latest
from rocksdict import Options, Rdict
from support.processes.running import samples

from streams.observing.disk import PROPERTIES, DiskWatch
from streams.observing.telemetry import Telemetry


def test_gauges_of_rocksdb_per_partition_and_of_the_disk(tmp_path: Path) -> None:
    telemetry = Telemetry()
    databases = {partition: Rdict(str(tmp_path / str(partition)), Options(raw_mode=True)) for partition in (0, 2)}
    watch = DiskWatch(tmp_path, lambda: databases, telemetry.sessions)

    def look() -> dict[str, float]:
        watch.look()
        return samples(generate_latest(telemetry.registry).decode())

    for n in range(1000):
        databases[0][b"u:%d" % n] = bytes(100)
    shown = look()
    assert shown["ouzel_sessions_held|partition=0"] == 1000
    assert shown["ouzel_sessions_held|partition=2"] == 0
    assert shown["ouzel_rocksdb_memory_bytes|partition=0"] > 100_000
    assert shown["ouzel_rocksdb_size_bytes|partition=0"] == 0
    databases[0].flush()
    shown = look()
    assert shown["ouzel_rocksdb_size_bytes|partition=0"] > 1000
    assert shown["ouzel_rocksdb_write_stopped|partition=0"] == 0
    assert shown["ouzel_disk_size_bytes"] == shutil.disk_usage(tmp_path).total
    assert 0 < shown["ouzel_disk_free_bytes"] < shown["ouzel_disk_size_bytes"]
    databases.pop(0).close()
    assert sum("partition=0" in name for name in look()) == 0
    assert sum("partition=2" in name for name in look()) == len(PROPERTIES)
    databases.pop(2).close()
