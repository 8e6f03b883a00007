"""Addresses of brokers and names of topics, as people write them."""

from __future__ import annotations

from pathlib import Path

import pytest
from faust.transport.drivers.aiokafka import server_list
from pydantic import ValidationError

from streams.configuration.kafka import TOPICS
from streams.engine.faust_app import create_app
from streams.kafka.connection import aiokafka_config, client_config, connection, fetch_waits
from streams.kafka.topics import topic_specs
from streams.sessions import changelog
from streams.settings import Settings, SettingsError, load_settings

pytestmark = pytest.mark.usefixtures("without_settings")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:9092", "a:9092"),
        (" a:9092 ,  b:9092,", "a:9092,b:9092"),
        ("a:9092;b:9092", "a:9092,b:9092"),
        ("a:9092,\nb:9092\n", "a:9092,b:9092"),
        ("a:9092,a:9092", "a:9092"),
        ("kafka://a:9092;kafka://b:9093/", "a:9092,b:9093"),
        ("PLAINTEXT://a:9092,plaintext://b:9092", "a:9092,b:9092"),
        ("[::1]:9092;kafka://[fe80::1]:9093", "[::1]:9092,[fe80::1]:9093"),
        ("kafka_1.internal.:9092", "kafka_1.internal.:9092"),
    ],
)
def test_every_client_gets_the_same_brokers(text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_BROKER", text)
    monkeypatch.setenv("OUZEL_DATA_DIR", str(tmp_path))
    settings = load_settings()
    assert settings.broker == expected
    for config in (client_config(settings), aiokafka_config(settings), connection(settings)):
        assert config["bootstrap_servers"] == expected.split(",")
    app = create_app(settings, changelog)
    for urls in (app.conf.broker_consumer, app.conf.broker_producer):
        assert server_list(urls, 1) == expected.split(",")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a:9092 b:9092", "'a:9092 b:9092' is not host:port"),
        ("a:9092,b", "'b' is not host:port"),
        ("a:0", "'a:0' is not host:port"),
        ("a:99999", "'a:99999' is not host:port"),
        ("a:٩", "is not host:port"),
        ("a/b:9092", "'a/b:9092' is not host:port"),
        ("a:9092/topic", "'a:9092/topic' is not host:port"),
        (",;", "there is no address"),
        ("http://a:9092", "'http://a:9092' has the unknown scheme http://"),
        ("SASL_SSL://a:9092", "'SASL_SSL://a:9092' names SASL_SSL, and security_protocol is PLAINTEXT"),
        ("::1:9092", "'::1:9092' has an IPv6 address without brackets. Write [::1]:9092"),
        ("[::g]:9092", "'[::g]:9092' is not host:port"),
        ("[::1]", "'[::1]' is not host:port"),
    ],
)
def test_an_address_whose_meaning_is_not_plain_is_named(text: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_BROKER", text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"is not valid: {reason}. Allowed: `host:port`" in str(caught.value) or f"{reason}. Allowed" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["kafka://ann:se/same@a:9092", "b:9092, ann:se/same@a:9092"])
def test_a_login_in_an_address_is_refused_and_not_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_BROKER", text)
    with pytest.raises(SettingsError, match="the login belongs in sasl_username and sasl_password") as caught:
        load_settings()
    assert "same" not in str(caught.value)


def test_a_scheme_may_name_the_protocol_of_the_settings() -> None:
    assert Settings(broker="SSL://a:9093", security_protocol="SSL").broker == "a:9093"
    with pytest.raises(ValidationError, match="names PLAINTEXT, and security_protocol is SSL"):
        Settings(broker="PLAINTEXT://a:9093", security_protocol="SSL")


def test_every_topic_has_a_name() -> None:
    assert [spec.name for spec in topic_specs(Settings(topic_prefix=""))] == list(TOPICS)


def test_topics_have_the_names_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_EVENTS_TOPIC", "clickstream.v1")
    monkeypatch.setenv("OUZEL_ITEMS_TOPIC", "products.v3")
    monkeypatch.setenv("OUZEL_TOPIC_NAMES", '{"recommendations": "reco.v1"}')
    settings = load_settings()
    names = [settings.topic(name) for name in ("events", "items", "recommendations", "model")]
    assert names == ["clickstream.v1", "products.v3", "reco.v1", "ouzel.model"]
    assert [name for name in TOPICS if settings.is_provided(name)] == ["events", "items"]


def test_empty_names_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_EVENTS_TOPIC", "")
    monkeypatch.setenv("OUZEL_ITEMS_TOPIC", "")
    settings = load_settings()
    assert [settings.topic(name) for name in ("events", "items")] == ["ouzel.events", "ouzel.items"]


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        (
            {"EVENTS_TOPIC": "click stream"},
            "events_topic: 'click stream' is not valid: Kafka has no such topic names. Allowed: text",
        ),
        ({"EVENTS_TOPIC": ".."}, "events_topic: '..' is not valid: Kafka has no such topic names."),
        (
            {"ITEMS_TOPIC": "x" * 250},
            "Kafka has no such topic names. Allowed: text of `A-Z a-z 0-9 . _ -`, 249 characters at most.",
        ),
        (
            {"TOPIC_NAMES": '{"recos": "reco.v1"}'},
            "Ouzel has no topic 'recos'. Allowed: JSON object of topic names; its keys are",
        ),
        ({"TOPIC_NAMES": '{"model": "a/b"}'}, "'a/b' is not text of `A-Z a-z 0-9 . _ -`, 249 characters at most. Allowed"),
        ({"TOPIC_NAMES": '{"model": ""}'}, "'' is not text of"),
        ({"TOPIC_NAMES": '{"model": 1}'}, "topic_names.model: 1 is not valid."),
        (
            {"TOPIC_NAMES": '{"model": "ouzel.events"}'},
            "ouzel.events would be the name of both events and model. Give each topic",
        ),
        ({"EVENTS_TOPIC": "a", "ITEMS_TOPIC": "a"}, "a would be the name of both events and items."),
        (
            {"EVENTS_TOPIC": "a", "TOPIC_NAMES": '{"events": "b"}'},
            "topic_names: events_topic names the topic events already. Remove one of the two",
        ),
    ],
)
def test_names_that_cannot_be_used_are_one_line(variables: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OUZEL_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, (25, 250)),
        ({"idempotent": False}, (100, 100)),
        ({"fetch_max_wait_ms": 40}, (25, 40)),
        ({"fetch_max_wait_ms": 5, "idempotent": False}, (5, 5)),
    ],
    ids=["Apache Kafka", "the embedded broker", "as set", "as set, and short"],
)
def test_fetches_wait_long_only_at_a_broker_that_answers_once_records_come(
    changes: dict[str, object], waits: tuple[int, int]
) -> None:
    assert fetch_waits(Settings(**changes)) == waits  # type: ignore[arg-type]
