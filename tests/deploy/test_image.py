"""The image: rules that can be checked without building it, and its health check."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import start_http_server

from streams.intake.telemetry import IntakeTelemetry
from streams.observing.telemetry import Telemetry

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
FOLLOWED = re.compile(r"\\\n\s*")


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its arguments, in order, without comments."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = FOLLOWED.sub("", "\n".join(lines)).splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def last_stage() -> dict[str, str]:
    """The last instruction of each kind in the final stage."""
    every = instructions()
    begin = max(place for place, (word, _) in enumerate(every) if word == "FROM")
    return dict(every[begin:])


def test_hadolint_reports_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_each_base_image_has_a_version_and_a_digest() -> None:
    bases = [arguments.split()[0] for word, arguments in instructions() if word == "FROM"]
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r"python:3\.11\.\d+-\w+-\w+@sha256:[0-9a-f]{64}", base), base
    assert len(set(bases)) == 1
    first = DOCKERFILE.read_text().splitlines()[0]
    assert re.fullmatch(r"# syntax=docker/dockerfile:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", first), first


def test_it_runs_as_an_unprivileged_numeric_user() -> None:
    user, _, group = last_stage()["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_it_writes_only_to_the_volume_and_to_tmp() -> None:
    variables = dict(pair.split("=", 1) for pair in last_stage()["ENV"].split())
    assert variables["OUZEL_DATA_DIR"] == "/var/lib/ouzel"
    assert variables["NUMBA_CACHE_DIR"].startswith("/tmp/")


def test_it_imports_nothing_from_the_current_directory() -> None:
    stage = last_stage()
    variables = dict(pair.split("=", 1) for pair in stage["ENV"].split())
    assert variables["PYTHONSAFEPATH"] == "1"
    assert stage["WORKDIR"] == "/", "not the volume, which the processes can write to"


def test_every_copied_path_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for word, arguments in instructions()
        if word == "COPY" and "--from" not in arguments
        for source in [part for part in arguments.split() if not part.startswith("--")][:-1]
    ]
    assert "models" in copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_torch_is_pinned() -> None:
    (torch,) = [line for line in (ROOT / "requirements" / "runtime.txt").read_text().splitlines() if line.startswith("torch==")]
    assert f'"{torch.split()[0]}"' in (ROOT / "pyproject.toml").read_text()


# the health check


def healthy(**ports: int) -> bool:
    """Whether the health check succeeds with these ports as OUZEL_* variables."""
    program = [sys.executable, str(ROOT / "deploy" / "health.py")]
    env = {f"OUZEL_{name.upper()}": str(port) for name, port in ports.items()}
    return subprocess.run(program, env=env, check=False, timeout=10).returncode == 0


@pytest.fixture
def worker() -> Iterator[tuple[Telemetry, int]]:
    """The metrics of a worker, and their port."""
    telemetry = Telemetry(CollectorRegistry())
    server, thread = start_http_server(0, addr="127.0.0.1", registry=telemetry.registry)
    yield telemetry, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[int], int]]:
    """A server that answers /health/ready with a given status; the function returns its port."""
    status = 200

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def answering(with_status: int) -> int:
            nonlocal status
            status = with_status
            return server.server_port

        yield answering
        server.shutdown()
        thread.join()


def test_a_worker_is_healthy_when_it_is_ready(worker: tuple[Telemetry, int]) -> None:
    telemetry, port = worker
    assert not healthy(metrics_port=port)
    telemetry.process.ready.set(1)
    assert healthy(metrics_port=port)


def test_an_intake_is_healthy_when_it_is_ready() -> None:
    telemetry = IntakeTelemetry()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=telemetry.registry)
    try:
        assert not healthy(metrics_port=server.server_port)
        telemetry.ready.set(1)
        assert healthy(metrics_port=server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_serve_is_healthy_when_it_answers_that_it_is_ready(serve: Callable[[int], int]) -> None:
    assert healthy(metrics_port=1, serve_port=serve(200))
    assert not healthy(metrics_port=1, serve_port=serve(503))
    assert not healthy(metrics_port=1, serve_port=1)
