"""The script in the README, run unchanged with a broker and a worker, and the names in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import typer
from support.processes.running import WorkerProcess, fresh_settings, wait_until

from serving.cli import build
from streams.configuration.errors import TEST_VARIABLE
from streams.configuration.fields import CONFIG_VARIABLE, variable
from streams.kafka.topics import create_topics
from streams.settings import Settings

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


def test_every_command_and_setting_that_it_names_exists() -> None:
    text = README.read_text()
    known = {*map(variable, Settings.model_fields), CONFIG_VARIABLE, TEST_VARIABLE}
    assert set(re.findall(r"\bOUZEL_[A-Z_]+[A-Z]\b", text)) - known == set()
    app: Any = typer.main.get_command(build())
    used = re.findall(r"(?:^ +\.venv/bin/|`)ouzel ([a-z][a-z-]*)(?: ([a-z]+)\b)?", text, re.MULTILINE)
    assert len(used) > 10
    for name, inner in used:
        assert name in app.commands, name
        group = getattr(app.commands[name], "commands", {})
        assert not group or inner in group, f"{name} {inner}"


def test_each_of_two_workers_on_one_machine_has_a_folder_and_a_port_of_its_own() -> None:
    text = README.read_text()
    first, second = (block for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE) if "bin/ouzel worker" in block)
    assert "OUZEL_METRICS_PORT" not in first
    changed = dict(re.findall(r"(OUZEL_\w+)=(\S+)", second))
    default = Settings()
    assert Path(changed["OUZEL_DATA_DIR"]) != default.data_dir
    assert changed["OUZEL_METRICS_PORT"] != str(default.metrics_port)


@pytest.mark.parametrize("page", ["serving.md", "operations.md"])
def test_the_tests_that_the_documents_name_exist(page: str) -> None:
    root = README.parent
    named = set(re.findall(r"`(test_\w+)`", (root / "docs" / page).read_text()))
    defined = {name for file in (root / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", file.read_text())}
    assert named
    assert not named - defined
