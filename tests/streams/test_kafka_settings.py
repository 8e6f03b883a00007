"""Names of topics: those of the user, those that Ouzel creates, and the ones that are refused."""

from __future__ import annotations

import os

import pytest

from streams.kafka.topics import topic_specs
from streams.kafka_settings import TOPICS
from streams.settings import Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OUZEL_"):
            monkeypatch.delenv(name)


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
