"""Why `ouzel serve` does not start: one line, and the exit code."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes.running import environment, fresh_settings
from typer.testing import CliRunner

from serving.cli import build
from streams.errors import OuzelError, Refused
from streams.kafka.connection import NoBroker
from streams.kafka.topics import create_topics
from streams.settings import Settings, SettingsError


@pytest.fixture(scope="module")
def settings(embedded: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = fresh_settings(embedded, tmp_path_factory.mktemp("refused"))
    create_topics(made)
    return made


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that another socket listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("extra", "error", "code", "message"),
    [
        (
            {"OUZEL_SERVE_HOST": "0.0.0.0"},
            Refused,
            2,
            "OUZEL_SERVE_HOST: 0.0.0.0 is not a loopback address, and there are no API keys",
        ),
        ({"OUZEL_SERVE_KEYS": "/nowhere/keys.json"}, Refused, 2, "OUZEL_SERVE_KEYS: /nowhere/keys.json: No such file"),
        ({"OUZEL_SERVE_KEYS": "NO_KEYS"}, Refused, 2, "is not a file of keys"),
        ({"OUZEL_PARTITIONS": "3"}, Refused, 2, "4 partitions, the settings say 3; set OUZEL_PARTITIONS=4"),
        ({"OUZEL_TOPIC_PREFIX": "nothing."}, Refused, 2, "ouzel topics create"),
        ({"OUZEL_BROKER": "127.0.0.1:1"}, NoBroker, 1, "no broker answers at 127.0.0.1:1"),
        ({"OUZEL_DECODER": "nowhere:nothing"}, SettingsError, 2, "decoder nowhere:nothing"),
        ({"OUZEL_SERVE_PORT": "TAKEN"}, Refused, 2, "OUZEL_SERVE_PORT: cannot listen on 127.0.0.1:"),
        ({"OUZEL_SERVE_PORT": "x"}, SettingsError, 2, "serve_port"),
    ],
)
def test_the_reason_is_one_line(
    settings: Settings, taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, str],
    error: type[OuzelError], code: int, message: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 500)
    no_keys = tmp_path / "no-keys.json"
    no_keys.write_text("text")
    no_keys.chmod(0o600)
    changed = {name: {"TAKEN": taken, "NO_KEYS": str(no_keys)}.get(value, value) for name, value in extra.items()}
    for name, value in (environment(settings) | changed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=message) as caught:
        CliRunner().invoke(build(), ["serve"], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == code


def test_the_package_contains_the_files_of_the_page() -> None:
    import serving

    assert (Path(serving.__file__).parent / "page" / "reference.css").is_file()
