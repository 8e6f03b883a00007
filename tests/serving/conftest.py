"""A server on an embedded broker, for tests that need no worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.processes.running import fresh_settings
from support.processes.serve_process import ServeProcess

from streams.kafka.topics import create_topics


@pytest.fixture(scope="module")
def served(embedded: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """`ouzel serve` without keys, ready, with tight limits.

    It does not outlive its module: it polls the embedded broker forty times a second.
    """
    folder = tmp_path_factory.mktemp("serve")
    settings = fresh_settings(embedded, folder)
    create_topics(settings)
    server = ServeProcess(
        settings, folder / "serve.log", OUZEL_SERVE_CLIENT_TIMEOUT_S="1.5", OUZEL_SERVE_MAX_BODY_BYTES="200000",
        OUZEL_SERVE_MAX_HEAD_BYTES="16384", OUZEL_SERVE_STREAM_S="0.5", OUZEL_SERVE_MAX_CONNECTIONS="50",
    )  # fmt: skip
    server.start()
    server.wait_ready()
    yield server
    server.stop()
