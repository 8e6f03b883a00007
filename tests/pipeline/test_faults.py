"""The short form of the fault card, and its control: what a stock Faust app loses is detected.

`make faults` runs the card in full.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults.card import CARD, SHORT
from faults.rig import Rig
from faults.run import run
from faults.verdict import verdict
from support.processes.running import environment, free_port

SCALE = 0.05
STUCK_AFTER_S = 20.0
"""The stock app may lose track of its offsets and stop committing."""


@pytest.mark.parametrize(("name", "delivery"), SHORT)
def test_nothing_is_lost_and_nothing_applied_twice(kafka_home: Path, tmp_path: Path, name: str, delivery: str) -> None:
    """A saboteur strikes at a point of one unit, at any load. Other faults come at any moment."""
    (row,) = (row for row in CARD if row.name == name)
    result = run(row, delivery, kafka_home, tmp_path, SCALE, **({"rate": 300.0} if "sabotage" in row.options else {}))
    assert result["ok"], result
    assert (result["lost"], result["double_applied"], result["missing"]) == (0, 0, 0)
    assert result["events"] > 50


def test_the_oracle_detects_what_a_stock_faust_app_loses_or_applies_twice(kafka_home: Path, tmp_path: Path) -> None:
    """Proves that the check of the card can fail."""
    rig = Rig(kafka_home, tmp_path, SCALE, workers=0, rate=100.0, model="null", session_timeout_s=2.0)
    with rig:
        env = environment(rig.settings)
        command = [
            sys.executable,
            "-m",
            "faults.stock",
            "worker",
            "--web-port",
            str(free_port()),
            "--web-bind",
            "127.0.0.1",
            "-l",
            "warn",
        ]
        with (tmp_path / "stock.log").open("ab") as log:
            for kill in range(3):
                process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
                rig.fresh_since(time.monotonic())
                time.sleep(1.0)
                if kill < 2:
                    process.kill()
                    process.wait()
            try:
                events = rig.finish(STUCK_AFTER_S)
            finally:
                process.kill()
                process.wait()
        result = verdict("control", "stock", rig.settings, [], events, [], may_repeat=True)
    assert not result["ok"]
    assert result["double_applied"] + result["missing"] > 0, result
