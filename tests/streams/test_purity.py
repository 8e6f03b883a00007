"""The pure core is importable without the machinery around it."""

from __future__ import annotations

import subprocess
import sys


def test_the_step_imports_neither_faust_nor_kafka_nor_torch() -> None:
    program = "import sys, streams.sessions; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    found = set(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split())
    assert "msgspec" in found
    assert not found & {"faust", "kafka", "aiokafka", "torch", "rocksdict", "numba", "mode"}
