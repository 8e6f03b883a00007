"""The demo as a user runs it: it counts what happened, ends when it should, and leaves no process behind."""

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
from support.running import wait_until

from serving.demo.browser import has_browser

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`ouzel demo` with the null model; its output goes to out.txt."""
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
    """Process ids and command lines of a process's children."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found[int(path.parent.name)] = (path.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def child(pid: int, words: str) -> int:
    """The child whose command line has these words."""
    wait_until(lambda: any(words in line for line in children(pid).values()), f"{words} runs", 60)
    return next(number for number, line in children(pid).items() if words in line)


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def said(folder: Path) -> str:
    return (folder / "out.txt").read_text()


def test_it_ends_by_itself_and_its_json_counts_every_event(tmp_path: Path) -> None:
    with demo(tmp_path, "--events", "800", "--rate", "0", "--json", str(tmp_path / "out.json")) as process:
        assert process.wait(120) == 0, said(tmp_path)
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["events"] == 800
    assert result["dead_letters"] == 0
    assert 0 < result["recommendations"] <= 800
    assert result["transitions"] == result["interactions"]
    assert 0 <= result["freshness_p50_ms"] <= result["freshness_p99_ms"]
    assert "equal to the worker's counters" in said(tmp_path)


def test_ctrl_c_stops_every_process_and_is_no_failure(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        everyone = children(process.pid)
        assert len(everyone) == 4, everyone
        wait_until(lambda: "The shop is open: http://127.0.0.1:" in said(tmp_path), "the page's address")
        address = said(tmp_path).partition("The shop is open: ")[2].split()[0]
        with urllib.request.urlopen(address) as answer:
            assert "<title>Ouzel" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, said(tmp_path)
        assert all(gone(pid) for pid in everyone)


def test_a_killed_demo_takes_its_processes_along(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        everyone = children(process.pid)
        process.kill()
        process.wait()
    wait_until(lambda: all(gone(pid) for pid in everyone), "everything gone", 20)


def test_a_worker_that_dies_is_named_and_is_a_failure(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        worker = child(process.pid, "serving.cli worker")
        everyone = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        assert process.wait(30) == 1
        assert all(gone(pid) for pid in everyone)
    assert "worker ended with exit status -9" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--data", "no/such/file"), "no such file"),
        (("--broker", "127.0.0.1:1", "--kafka-home", "x"), "exclude each other"),
        (("--kafka-home", "no/such/kafka"), "KAFKA_HOME"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    with demo(tmp_path, *arguments) as process:
        assert process.wait(60) != 0
    assert told in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_a_page_that_dies_is_named_and_is_a_failure(tmp_path: Path) -> None:
    with demo(tmp_path, "--rate", "100") as process:
        child(process.pid, "simulate")
        os.kill(child(process.pid, "serving.cli serve"), signal.SIGKILL)
        assert process.wait(30) == 1
    assert "page ended with exit status -9" in said(tmp_path)


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


def test_a_kafka_with_events_keeps_them_to_itself(kafka: str, tmp_path: Path) -> None:
    for expected in (False, True):
        with demo(tmp_path, "--events", "200", "--rate", "0", "--broker", kafka) as process:
            assert process.wait(120) == 0, said(tmp_path)
        assert ("holds events already" in said(tmp_path)) is expected
        assert "equal to the worker's counters" in said(tmp_path)
