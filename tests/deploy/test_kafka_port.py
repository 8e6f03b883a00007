"""The port of Kafka that compose.kafka-port.yaml publishes: it needs a password.

The listeners, the command that sets the password, and the settings in its comments are those of the
files, on an Apache Kafka without containers.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from support.deployed import DEPLOY
from support.processes.running import fresh_settings

from serving.demo.brokers import ApacheBroker
from serving.demo.processes import free_ports
from streams.kafka.connection import NoBroker
from streams.kafka.topic_checks import check_topics
from streams.settings import Settings

FILE = DEPLOY / "compose.kafka-port.yaml"
PASSWORD = "sesame-open-4"


def services() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return content


def property_of(variable: str) -> str:
    """The name of a property that the image of Apache Kafka reads from an environment variable."""
    name = variable.removeprefix("KAFKA_").lower()
    return name.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")


class Published(ApacheBroker):
    """A broker with the listeners of the file, on free ports."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        (self.outside,) = free_ports(1)

    def properties(self) -> dict[str, str]:
        ports = {"INSIDE": self.port, "CONTROLLER": self.controller_port, "OUTSIDE": self.outside}
        changed = {property_of(name): value for name, value in services()["kafka"]["environment"].items()}
        for name in ("listeners", "advertised.listeners"):
            changed[name] = re.sub(
                r"([A-Z]+)://[a-z0-9.]*:\d+", lambda found: f"{found[1]}://127.0.0.1:{ports[found[1]]}", changed[name]
            )
        return {**super().properties(), **changed, "inter.broker.listener.name": "INSIDE"}


@pytest.fixture(scope="module")
def published(kafka_home: Path) -> Iterator[Published]:
    """A broker whose user has the password."""
    user = services()["kafka-user"]
    with Published(kafka_home) as broker:
        assert isinstance(broker, Published)
        (text,) = user["command"]
        command = text.replace("$$", "$").replace("/opt/kafka", str(kafka_home)).replace("kafka:9092", broker.bootstrap)
        environment = os.environ | {"KAFKA_PASSWORD": PASSWORD, "LOG_DIR": str(broker.folder)}
        done = subprocess.run([*user["entrypoint"], command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr, "the log of the container has no password"
        yield broker


def settings(broker: Published, directory: Path, password: str) -> Settings:
    """The settings that the comment of the file exports."""
    named = dict(re.findall(r"OUZEL_(S\w+)=([\w-]+)", FILE.read_text()))
    assert named.keys() == {"SECURITY_PROTOCOL", "SASL_MECHANISM", "SASL_USERNAME"}
    fields: dict[str, object] = {name.lower(): value for name, value in named.items()}
    return fresh_settings(f"127.0.0.1:{broker.outside}", directory, **fields, sasl_password=SecretStr(password))


def test_a_client_with_the_password_is_let_in(published: Published, tmp_path: Path) -> None:
    assert all("missing" in problem for problem in check_topics(settings(published, tmp_path, PASSWORD)))


def test_a_client_without_it_is_not(published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 2000)
    with pytest.raises(NoBroker, match=r"SaslAuthenticationFailed|sasl_password"):
        check_topics(settings(published, tmp_path, "wrong"))
    with pytest.raises(NoBroker):
        check_topics(fresh_settings(f"127.0.0.1:{published.outside}", tmp_path))
