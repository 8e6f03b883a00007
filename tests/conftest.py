"""What the whole run shares: brokers, data and programs; and the lanes, by what a test needs.

A test is in the lanes of the fixtures that it uses, directly or through other fixtures. A test that
starts such a thing without these fixtures carries the lane's marker itself. `make check` runs the
tests that are in no lane: they need nothing beside Python.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from support.processes.running import EmbeddedAddress

from serving.demo.brokers import ApacheBroker, EmbeddedBroker

# A deadline per example would fail the first one that compiles a kernel, and any on a busy machine.
hypothesis.settings.register_profile("ouzel", deadline=None)
hypothesis.settings.load_profile("ouzel")

# A broker of the tests lives for minutes. Java's second compiler would cost more than it saves.
os.environ.setdefault("KAFKA_OPTS", "-XX:TieredStopAtLevel=1")

LANES = {
    "broker": {"broker", "embedded", "kafka", "kafka_home"},
    "browser": {"browser"},
    "prometheus": {"promtool", "prometheus"},
    "data": {"data"},
}
"""For each marker, the fixtures that put a test into its lane."""


LONGEST = ("test_faults", "test_kill", "test_model_log", "test_learner", "test_hostile_input", "test_bad_input_card")
"""The modules of `tests/pipeline` whose tests take up to a minute each."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the lanes of its fixtures.

    If processes of pytest-xdist share the tests, the longest begin: at the end, a process without
    tests would wait for them.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for lane, of_lane in LANES.items():
            if fixtures & of_lane:
                item.add_marker(lane)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: _turn(item.path))


def _turn(path: Path) -> int:
    """When the tests of a module begin: the pipeline's long ones, its others, then all others."""
    of_pipeline = path.is_relative_to(Path(__file__).parent / "pipeline")
    if of_pipeline and path.stem in LONGEST:
        return LONGEST.index(path.stem)
    return len(LONGEST) if of_pipeline else len(LONGEST) + 1


@pytest.fixture
def without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the settings of this process's environment."""
    for name in os.environ:
        if name.startswith("OUZEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def embedded() -> Iterator[str]:
    """The bootstrap address of an embedded broker."""
    with EmbeddedBroker() as broker:
        yield EmbeddedAddress(broker.bootstrap)


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """The folder of Apache Kafka; skips the test if ``KAFKA_HOME`` is not set."""
    home = os.environ.get("KAFKA_HOME")
    if not home:
        pytest.skip("KAFKA_HOME is not set: no Apache Kafka")
    return Path(home)


@pytest.fixture(scope="session")
def kafka(kafka_home: Path) -> Iterator[str]:
    """The bootstrap address of an Apache Kafka that accepts records of up to 10 MB."""
    with ApacheBroker(kafka_home, {"message.max.bytes": "10000000", "replica.fetch.max.bytes": "10000000"}) as broker:
        yield broker.bootstrap


@pytest.fixture(params=["embedded", "kafka"])
def broker(request: pytest.FixtureRequest) -> str:
    """The bootstrap address of each broker in turn: the test runs once on each."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real clicks; skips the test if ``OUZEL_TEST_DATA`` is not set."""
    folder = os.environ.get("OUZEL_TEST_DATA")
    if not folder:
        pytest.skip("OUZEL_TEST_DATA is not set: no real clicks")
    return Path(folder)


@pytest.fixture(scope="session")
def promtool() -> Path:
    """The program that checks rules and metrics; skips the test if it is not installed."""
    return _program("promtool")


@pytest.fixture(scope="session")
def prometheus() -> Path:
    """The Prometheus server's program; skips the test if it is not installed."""
    return _program("prometheus")


def _program(name: str) -> Path:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (on Debian: apt install prometheus)")
    return Path(path)
