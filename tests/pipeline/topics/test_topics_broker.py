"""Topics on both brokers: created as required, and checked against what somebody else created."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from support.processes.running import free_port, fresh_settings
from typer.testing import CliRunner, Result

from serving.cli import build
from streams.errors import Refused
from streams.kafka.connection import CONNECT_MS, NoBroker
from streams.kafka.topic_checks import check_topics, differences, unchecked
from streams.kafka.topics import TopicsError, admin, create_topics, describe_topics, topic_specs
from streams.settings import Settings

HOUR_MS = 3_600_000


@pytest.fixture
def bare(broker: str, tmp_path: Path) -> Settings:
    """Settings without topics."""
    return fresh_settings(broker, tmp_path)


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run `ouzel topics` in this process."""
    for name in ("broker", "topic_prefix", "partitions"):
        monkeypatch.setenv(f"OUZEL_{name.upper()}", str(getattr(settings, name)))
    return CliRunner().invoke(build(), ["topics", *arguments])


def make(settings: Settings, name: str, partitions: int, **config: str) -> None:
    """Create one topic, as somebody else would."""
    options = {"num_partitions": partitions, "replication_factor": 1, "configs": config}
    client = admin(settings)
    client.create_topics({settings.topic(name): options})
    client.wait_for_topics([settings.topic(name)])
    client.close()


def test_topics_are_created_once_and_as_required(bare: Settings) -> None:
    missing = check_topics(bare)
    assert len(missing) == len(topic_specs(bare))
    assert all("missing" in problem for problem in missing)
    assert create_topics(bare) == [spec.name for spec in topic_specs(bare)]
    assert create_topics(bare) == []
    assert check_topics(bare) == []
    states = describe_topics(bare)
    for spec in topic_specs(bare):
        state = states[spec.name]
        assert state is not None
        assert state.partitions == spec.partitions
        assert unchecked(spec, state) == []
        for name, value in (spec.config | spec.extra_config).items():
            assert (state.config or {})[name] == value


def test_wrong_topics_of_somebody_else_are_listed_and_not_changed(bare: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make(bare, "events", 2, **{"cleanup.policy": "compact"})
    make(bare, "transitions", 1, **{"cleanup.policy": "delete", "retention.ms": str(24 * HOUR_MS)})
    make(bare, "sessions-changelog", 4, **{"cleanup.policy": "compact", "min.compaction.lag.ms": "0"})
    result = run(bare, monkeypatch, "create")
    assert isinstance(result.exception, Refused)
    assert result.exception.exit_code == 2
    told = sorted(str(result.exception).splitlines())
    assert [line.removeprefix(bare.topic_prefix).split(":")[0] for line in told] == [
        *("events", "events", "sessions-changelog", "transitions")
    ]
    text = "\n".join(told)
    for part in (
        "2 partitions",
        "ouzel reset",
        "cleanup.policy is compact",
        "min.compaction.lag.ms is 0",
        "retention.ms is 86400000",
    ):
        assert part in text
    assert sorted(check_topics(bare)) == told
    state = describe_topics(bare)[bare.topic("events")]
    assert state is not None
    assert state.partitions == 2


def test_a_longer_retention_is_no_problem(bare: Settings) -> None:
    make(bare, "transitions", 1, **{"cleanup.policy": "delete", "retention.ms": "-1"})
    make(bare, "sessions-changelog", 4, **{"cleanup.policy": "compact", "min.compaction.lag.ms": str(2 * HOUR_MS)})
    create_topics(bare)
    assert check_topics(bare) == []


def test_describe_shows_what_exists(bare: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    make(bare, "recommendations", 4, **{"cleanup.policy": "compact,delete", "retention.ms": "604800000"})
    printed = run(bare, monkeypatch, "describe").output
    for part in ("cleanup.policy=compact,delete", "retention.ms=604800000", "missing"):
        assert part in printed


def test_settings_that_the_embedded_broker_does_not_report_are_named(
    embedded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = fresh_settings(embedded, tmp_path)
    make(settings, "events", 4)
    create_topics(settings)
    assert check_topics(settings) == []
    result = run(settings, monkeypatch, "check")
    assert result.exit_code == 0
    assert f"{settings.topic('events')}: cleanup.policy was not checked, because this broker does not report it" in result.output
    assert "as far as this broker reports them" in result.output


def test_a_later_change_on_apache_kafka_is_detected(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path)
    create_topics(settings)
    client = admin(settings)
    name = settings.topic("sessions-changelog")
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "delete"})])
    client.close()
    spec = next(spec for spec in topic_specs(settings) if spec.name == name)
    assert check_topics(settings) == differences(spec, describe_topics(settings)[name])
    assert "cleanup.policy is delete, must be compact" in check_topics(settings)[0]


def test_too_few_brokers_are_a_one_line_error(kafka: str, tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match="InvalidReplicationFactor") as caught:
        create_topics(fresh_settings(kafka, tmp_path, replication=3))
    assert "\n" not in str(caught.value)


def test_no_broker_is_a_one_line_error_in_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CONNECT_MS <= 10_000
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 1000)
    began = time.monotonic()
    with pytest.raises(NoBroker, match=r"no broker answers at 127\.0\.0\.1.*ECONNREFUSED") as caught:
        check_topics(fresh_settings(f"127.0.0.1:{free_port()}", tmp_path))
    assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)
