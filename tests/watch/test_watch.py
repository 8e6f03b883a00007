"""`make watch`: the demo with a Prometheus that watches it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from support.expressions import selectors
from support.processes.running import wait_until

from deploy.watch import GRAPHS, graphs

COMMAND = [sys.executable, "-m", "deploy.watch"]


def test_without_prometheus_it_fails_with_one_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    ran = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stderr == "make watch: prometheus is not installed (on Debian: apt install prometheus)\n"
    assert ran.stdout == ""


def test_the_address_has_every_graph() -> None:
    parameters = urllib.parse.parse_qs(urllib.parse.urlsplit(graphs("http://127.0.0.1:9090")).query)
    assert [parameters[f"g{number}.expr"] for number in range(len(GRAPHS))] == [[expression] for expression in GRAPHS]
    assert all(selectors(expression) for expression in GRAPHS)


@pytest.mark.broker
@pytest.mark.usefixtures("prometheus")
def test_it_watches_the_demo_until_ctrl_c_and_stops_every_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        watch = subprocess.Popen(
            [*COMMAND, "--rate", "100", "--no-browser"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_until(lambda: "Graphs: " in log.read_text(), "the addresses")
        match = re.search(r"^Prometheus: (http://127\.0\.0\.1:\d+)", log.read_text(), re.MULTILINE)
        assert match is not None
        url = match.group(1)

        def counted() -> bool:
            with urllib.request.urlopen(f"{url}/api/v1/query?query=sum(ouzel_events_total)>0", timeout=5) as answer:
                return bool(json.load(answer)["data"]["result"])

        wait_until(counted, "the demo's events in Prometheus", 120.0, every_s=0.5)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(60) == 0, log.read_text()
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"{url}/-/ready", timeout=2)
    finally:
        watch.kill()
        watch.wait()
