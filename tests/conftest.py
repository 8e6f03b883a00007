"""Brokers for the pipeline tests, each started once per run: the embedded one, and Apache Kafka where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.brokers import ApacheBroker, EmbeddedBroker


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """Address of the embedded broker."""
    with EmbeddedBroker() as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Address of an Apache Kafka; skips where KAFKA_HOME names none."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        pytest.skip("KAFKA_HOME is not set: no Apache Kafka to test on")
    with ApacheBroker(Path(home)) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session", params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> str:
    """Address of each broker in turn."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the real clicks; skips where OUZEL_TEST_DATA names none."""
    folder = os.environ.get("OUZEL_TEST_DATA")
    if not folder:
        pytest.skip("OUZEL_TEST_DATA is not set: no real clicks to test on")
    return Path(folder)
