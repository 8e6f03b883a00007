"""The script in the README, run unchanged with a broker and a worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

from support.running import WorkerProcess, fresh_settings, wait_until

from streams.kafka.topics import create_topics

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"<!-- test_readme\.py runs this block -->\n```python\n(.*?)```", re.DOTALL)
SENT = 4


def script() -> str:
    """The one block of the README that is marked for this test."""
    (code,) = BLOCK.findall(README.read_text())
    return str(code)


def test_the_script_is_about_ten_lines() -> None:
    assert len(script().splitlines()) <= 12


def test_the_script_reads_a_recommendation_for_each_event_it_produces(broker: str, tmp_path: Path) -> None:
    settings = fresh_settings(broker, tmp_path)
    create_topics(settings)
    worker = WorkerProcess(settings, tmp_path / "worker.log").start()
    environment = {**os.environ, "OUZEL_BROKER": broker, "OUZEL_TOPIC_PREFIX": settings.topic_prefix}
    lines: list[str] = []
    try:
        worker.wait_ready()
        with subprocess.Popen(
            [sys.executable, "-c", script()], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            assert running.stdout is not None
            reader = threading.Thread(target=lines.extend, args=(iter(running.stdout.readline, ""),))
            reader.start()
            try:
                wait_until(lambda: len(lines) >= SENT or running.poll() is not None, "recommendations", 60)
            finally:
                running.kill()
                reader.join()
    finally:
        worker.kill()
    assert [line.split(" show ")[0] for line in lines] == [
        "after ['mug']",
        "after ['mug', 'teapot']",
        "after ['mug', 'teapot', 'mug']",
        "after ['mug', 'teapot', 'mug', 'kettle']",
    ], "".join(lines) + worker.tail()
