"""What keeps an intake from its work is found at its start, one line each."""

from __future__ import annotations

from typing import Any

import pytest

from streams.intake.checks import problems
from streams.kafka.topics import TopicState, topic_specs
from streams.settings import Settings

SETTINGS = Settings(intake=[{"topic": "clicks"}])
WRITER = frozenset(("DESCRIBE", "DESCRIBE_CONFIGS", "WRITE"))
READER = frozenset(("DESCRIBE", "READ"))


def own(**changes: TopicState | None) -> dict[str, TopicState | None]:
    """The states of Ouzel's topics as `ouzel topics create` makes them, with these changes."""
    made: dict[str, TopicState | None] = {spec.name: TopicState(spec.partitions, spec.config) for spec in topic_specs(SETTINGS)}
    return made | {SETTINGS.topic(name.replace("_", "-")): state for name, state in changes.items()}


def test_nothing_is_wrong_with_the_topics_that_are_created() -> None:
    assert problems(SETTINGS, own(), {"clicks": TopicState(3, None)}) == []


def test_the_topics_that_it_does_not_write_may_be_invisible_to_it() -> None:
    assert problems(SETTINGS, own(model=None, transitions=None, learner=TopicState(7, {})), {"clicks": TopicState(3, None)}) == []


@pytest.mark.parametrize(
    ("changes", "source", "line"),
    [
        ({}, None, "OUZEL_INTAKE: topic clicks is missing or not visible to this user: create it, grant Read on it, or correct"),
        (
            {"events": None},
            TopicState(1, None),
            "topic ouzel.events is missing or not visible to this user; `ouzel topics create`",
        ),
        ({"dead_letters": TopicState(7, {})}, TopicState(1, None), "ouzel.dead-letters: the topic has 7 partitions"),
        (
            {"events": TopicState(4, {"max.message.bytes": "1000"})},
            TopicState(1, None),
            "ouzel.events: max.message.bytes is 1000, must be at least 900000; change it with Kafka's own tools",
        ),
        (
            {"events": TopicState(4, {}, WRITER - {"WRITE"})},
            TopicState(1, None, READER),
            "ouzel.events: this user may not WRITE; docs/operations.md lists the permissions that the intake needs",
        ),
        ({}, TopicState(1, None, READER - {"READ"}), "clicks: this user may not READ; docs/operations.md"),
    ],
)
def test_each_problem_is_one_line(
    changes: dict[str, Any], source: TopicState | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.kafka.permissions._may_join", lambda settings, group: True)
    (found,) = problems(SETTINGS, own(**changes), {"clicks": source})
    assert found.startswith(line)


def test_a_group_that_it_may_not_join_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka.permissions._may_join", lambda settings, group: group != "ouzel-intake")
    (found,) = problems(SETTINGS, own(), {"clicks": TopicState(1, None, READER)})
    assert found.startswith("group ouzel-intake: this user may not READ")
