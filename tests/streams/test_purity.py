"""The pure core is importable without the machinery around it."""

from __future__ import annotations

import subprocess
import sys


def imported_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split())


def test_the_commands_start_without_faust_which_takes_their_options_for_its_own_and_without_the_slow_ones() -> None:
    found = imported_by("import serving.cli; serving.cli.build()")
    assert "typer" in found
    assert not found & {"faust", "mode", "torch", "numba", "matplotlib"}


def test_the_step_imports_neither_faust_nor_kafka_nor_torch() -> None:
    found = imported_by("import streams.sessions.step")
    assert "msgspec" in found
    assert not found & {"faust", "kafka", "aiokafka", "torch", "rocksdict", "numba", "mode"}
