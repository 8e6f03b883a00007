"""The demo as a user runs it: it counts events, ends by itself, and leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes.running import wait_until

from serving.demo.browser import has_browser

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find processes"),
]


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `ouzel demo` with the null model; its output goes to out.txt."""
    environment = {**os.environ, "OUZEL_MODEL": "null", "OUZEL_TOPIC_PREFIX": f"{folder.name}."}
    with (folder / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.cli", "demo", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def children(pid: int) -> dict[int, str]:
    """The process ids and command lines of a process's children."""
    lines = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                lines[int(path.parent.name)] = (path.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return lines


def child(pid: int, words: str) -> int:
    """Wait for a child whose command line has these words, and return its process id."""
    wait_until(lambda: any(words in line for line in children(pid).values()), f"{words} runs", 60)
    return next(number for number, line in children(pid).items() if words in line)


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def output(folder: Path) -> str:
    """What the demo has printed so far."""
    return (folder / "out.txt").read_text()


def test_it_ends_by_itself_and_its_json_counts_every_event(tmp_path: Path) -> None:
    with demo(tmp_path, "--events", "800", "--rate", "0", "--json", str(tmp_path / "out.json")) as process:
        assert process.wait(120) == 0, output(tmp_path)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["events"] == 800
    assert result["dead_letters"] == 0
    assert 0 < result["recommendations"] <= 800
    assert result["transitions"] == result["interactions"]
    assert 0 <= result["freshness_p50_ms"] <= result["freshness_p99_ms"]
    assert "they equal the worker's counters" in output(tmp_path)


def test_ctrl_c_stops_every_process_and_exits_with_zero(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        processes = children(process.pid)
        assert len(processes) == 4, processes
        wait_until(lambda: "The demo shop is running: http://127.0.0.1:" in output(tmp_path), "the page's address")
        address = output(tmp_path).partition("The demo shop is running: ")[2].split()[0]
        with urllib.request.urlopen(address) as answer:
            assert "<title>Ouzel" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, output(tmp_path)
        assert all(gone(pid) for pid in processes)


def test_the_processes_of_a_killed_demo_end_too(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        processes = children(process.pid)
        process.kill()
        process.wait()
    wait_until(lambda: all(gone(pid) for pid in processes), "every process has ended", 20)


def test_the_demo_fails_and_names_the_worker_if_it_dies(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        worker = child(process.pid, "serving.cli worker")
        processes = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert process.wait(30) == 1
        assert all(gone(pid) for pid in processes)
    assert "worker ended with exit status -9" in output(tmp_path)
    assert "Traceback" not in output(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "no/such/file"), "no such file"),
        (("--broker", "127.0.0.1:1", "--kafka-home", "x"), "exclude each other"),
        (("--kafka-home", "no/such/kafka"), "KAFKA_HOME"),
    ],
)
def test_a_wrong_option_is_an_error_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with demo(tmp_path, *arguments) as process:
        assert process.wait(60) != 0
    assert message in output(tmp_path)
    assert "Traceback" not in output(tmp_path)


def test_the_demo_fails_and_names_the_page_if_it_dies(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        os.kill(child(process.pid, "serving.cli serve"), signal.SIGKILL)
        assert process.wait(30) == 1
    assert "page ended with exit status -9" in output(tmp_path)


@pytest.mark.parametrize(
    ("environment", "platform", "on_terminal", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True, True),
        ({}, "darwin", True, True),
        ({}, "linux", True, False),
        ({"DISPLAY": ":0"}, "linux", False, False),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", True, False),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1.2.3.4"}, "linux", True, False),
    ],
)
def test_where_a_browser_is_opened(environment: dict[str, str], platform: str, on_terminal: bool, expected: bool) -> None:
    assert has_browser(environment, platform, on_terminal=on_terminal) is expected


def test_the_demo_uses_new_topics_if_the_events_topic_has_events(kafka: str, tmp_path: Path) -> None:
    for expected in (False, True):
        with demo(tmp_path, "--events", "200", "--rate", "0", "--broker", kafka) as process:
            assert process.wait(120) == 0, output(tmp_path)
        assert ("already has events" in output(tmp_path)) is expected
        assert "they equal the worker's counters" in output(tmp_path)
