"""The OpenAPI document against the server: schemathesis sends what it allows and forbids."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.processes.running import fresh_settings
from support.processes.serve_process import ServeProcess

from serving.app import OPERATIONS
from serving.http.openapi import document
from serving.http.reference import reference
from serving.key_file import SCOPES, new_key, write_keys
from streams.kafka.topics import create_topics

CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 413, 414, 415, 422, 429, 431]
"""
"""The default leaves out 413, 414 and 431, with which the server rejects what is too long."""


@pytest.fixture
def guarded(embedded: str, tmp_path: Path) -> Iterator[tuple[ServeProcess, str]]:
    """A server with keys, and a key with every scope."""
    settings = fresh_settings(embedded, tmp_path)
    create_topics(settings)
    text, kept = new_key("all", [*SCOPES], 0)
    write_keys(tmp_path / "keys.json", [kept])
    server = ServeProcess(
        settings,
        tmp_path / "serve.log",
        OUZEL_SERVE_KEYS=str(tmp_path / "keys.json"),
        OUZEL_SERVE_STREAM_S="0.05",
        OUZEL_GUESTS="[]",
    )
    server.start()
    server.wait_ready()
    yield server, text
    server.kill()


def test_schemathesis_finds_nothing(guarded: tuple[ServeProcess, str], tmp_path: Path) -> None:
    server, key = guarded
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    options = [
        f"http://127.0.0.1:{server.port}/openapi.json", "--header", f"Authorization: Bearer {key}", "--checks", "all",
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "8", "--seed", "1", "--workers", "2",
        "--continue-on-failure", "--warnings", "off", "--no-color", "--output-truncate", "false",
    ]  # fmt: skip
    path = os.pathsep.join(map(str, Path(__file__).parents[2:4]))
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "support.schemathesis_hooks", "PYTHONPATH": path}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path.parent)
    output = done.stdout[-20_000:] + done.stderr[-2000:]
    assert done.returncode == 0, output
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested, output
    assert int(tested[1]) == len(OPERATIONS) - 1, output  # all but /openapi.json, which it reads
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases, output
    assert int(cases[1]) > 300, output
    assert server.alive
    assert "request_failed" not in server.log.read_text()
    assert not [name for name in server.metrics() if name.startswith("ouzel_serve_requests_total") and "status=500" in name]


def test_every_reference_resolves_and_everything_is_described() -> None:
    spec = document(OPERATIONS, keys_required=True)
    text = json.dumps(spec)
    schemas = spec["components"]["schemas"]
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in schemas
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                assert answer["description"], (path, method, status)
                if int(status) >= 400 and path != "/health/ready":
                    assert "application/problem+json" in answer["content"], (path, method, status)
            assert ("security" in operation) == path.startswith("/v1/")
            assert all(parameter["description"] for parameter in operation["parameters"]), (path, method)
    assert all(tag["description"] for tag in spec["tags"])


def test_the_document_is_json_and_the_reference_shows_all_of_it() -> None:
    spec = msgspec.json.decode(msgspec.json.encode(document(OPERATIONS, keys_required=False)))
    page = reference(spec)
    for operation in OPERATIONS:
        assert f'id="{operation.name}"' in page
        assert operation.path in page
    for name in spec["components"]["schemas"]:
        assert f'id="type-{name}"' in page
    assert page.count("<section") == page.count("</section>")
