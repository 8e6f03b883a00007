"""The demo sends invented events, so it must not use the topics of the user."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from serving.demo import stage
from serving.demo.processes import Child
from streams.errors import Refused
from streams.settings import Settings


def test_the_demo_creates_topics_of_its_own_names_even_if_the_settings_name_yours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUZEL_EVENTS_TOPIC", "clickstream.v1")
    monkeypatch.setenv("OUZEL_ITEMS_TOPIC", "products.v3")
    monkeypatch.setenv("OUZEL_TOPIC_NAMES", '{"recommendations": "reco.v1"}')
    created: list[Settings] = []
    children: list[dict[str, str]] = []
    monkeypatch.setattr(stage, "create_topics", created.append)
    monkeypatch.setattr(stage, "end_positions", lambda *_: {})
    monkeypatch.setattr(Child, "__enter__", lambda child: children.append(child._environment))
    monkeypatch.setattr(Child, "__exit__", lambda *_: None)
    with ExitStack() as stack:
        made = stage.Stage(stage.DemoOptions(broker="127.0.0.1:1"), Console(quiet=True), tmp_path, stack)
        made.settings = made._topics("127.0.0.1:1")
        made._child("simulator", ["simulate"])
        with pytest.raises(Refused, match=r"^--broker: 'a' is not host:port"):
            made._topics("a")
        assert made._topics("kafka://a:1;b:1").brokers == ["a:1", "b:1"]
    settings, _ = created
    (variables,) = children
    for name in ("events", "items", "recommendations"):
        assert settings.topic(name) == f"ouzel.{name}"
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [Settings().topic(name) for name in ("events", "items", "recommendations")] == [
        *("ouzel.events", "ouzel.items", "ouzel.recommendations")
    ]
