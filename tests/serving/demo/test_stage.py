"""The demo sends invented events, so it must not use the topics of the user."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from serving.demo import processes, stage
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


def test_the_source_stops_once_when_the_embedded_broker_uses_its_memory(tmp_path: Path) -> None:
    with ExitStack() as stack:
        made: Any = stage.Stage(stage.DemoOptions(), Console(quiet=True), tmp_path, stack)
        broker, stops = SimpleNamespace(memory=stage.MOST_MEMORY - 1), list[str]()
        well, interrupted = SimpleNamespace(returncode=None), SimpleNamespace(returncode=130, stop=lambda: stops.append("source"))
        made.worker = made.page = well
        made.source, made.embedded = interrupted, SimpleNamespace(child=broker)
        assert not made.stop_if_full()
        assert stops == []
        broker.memory += 1
        assert made.stop_if_full()
        assert not made.stop_if_full()
        assert stops == ["source"]
        made.check()  # a source that was stopped has not failed


def test_a_demo_on_another_broker_has_no_bound_of_memory(tmp_path: Path) -> None:
    with ExitStack() as stack:
        assert not stage.Stage(stage.DemoOptions(broker="k:1"), Console(quiet=True), tmp_path, stack).stop_if_full()


def test_a_child_tells_its_memory_on_every_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Child("sleeper", ["sleep", "60"], tmp_path / "log") as child:
        assert 0 < child.memory < 100 << 20
        monkeypatch.setattr(processes, "resident_bytes", lambda _: None)
        assert 0 < child.memory < 100 << 20
        child.kill()
        assert child.memory == 0
