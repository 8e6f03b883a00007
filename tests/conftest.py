"""Brokers and data for the whole run, and the lanes: what each test needs beside Python.

A test is in a lane because of the fixtures that it uses, directly or through others; a test that
starts such a thing by itself carries the marker. `make check` runs what needs none of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.running import EmbeddedAddress

from serving.demo.brokers import ApacheBroker, EmbeddedBroker

LANES = {
    "broker": {"broker", "embedded", "kafka", "kafka_home"},
    "browser": {"browser"},
    "prometheus": {"promtool", "prometheus"},
    "data": {"data"},
}
"""By marker, the fixtures that put a test into its lane."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the lanes of its fixtures."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for lane, ours in LANES.items():
            if fixtures & ours:
                item.add_marker(lane)


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """Bootstrap address of an embedded broker."""
    with EmbeddedBroker() as broker:
        yield EmbeddedAddress(broker.bootstrap)


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """Where Apache Kafka is."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        pytest.skip("KAFKA_HOME is not set: no Apache Kafka")
    return Path(home)


@pytest.fixture(scope="session")
def kafka(kafka_home: Path) -> Iterator[str]:
    """Bootstrap address of an Apache Kafka that takes large records."""
    with ApacheBroker(kafka_home, {"message.max.bytes": "10000000", "replica.fetch.max.bytes": "10000000"}) as broker:
        yield broker.bootstrap


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> str:
    """Each broker in turn."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real clicks."""
    folder = os.environ.get("OUZEL_TEST_DATA")
    if not folder:
        pytest.skip("OUZEL_TEST_DATA is not set: no real clicks")
    return Path(folder)
