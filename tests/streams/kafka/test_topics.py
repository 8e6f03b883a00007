"""What each topic must be, and how a difference is reported."""

from __future__ import annotations

import pytest
from kafka.errors import KafkaTimeoutError, RequestTimedOutError

from streams.kafka.connection import most_specific
from streams.kafka.topics import TopicSpec, TopicState, differences, topic_specs, unchecked
from streams.settings import Settings

SPEC = TopicSpec("t", 4, {"cleanup.policy": "compact,delete", "retention.ms": "1000"})


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (TopicState(4, {"cleanup.policy": "delete,compact", "retention.ms": "1000"}), None),
        (TopicState(4, {"cleanup.policy": "compact,delete", "retention.ms": "-1"}), None),
        (TopicState(4, None), None),
        (None, "missing"),
        (TopicState(3, None), "ouzel reset"),
        (TopicState(4, {"cleanup.policy": "compact", "retention.ms": "1000"}), "cleanup.policy is compact"),
        (TopicState(4, {"cleanup.policy": "compact,delete", "retention.ms": "999"}), "at least 1000"),
    ],
)
def test_a_difference_is_reported(state: TopicState | None, problem: str | None) -> None:
    problems = differences(SPEC, state)
    assert len(problems) == (problem is not None)
    assert problem is None or problem in problems[0]


def test_an_option_that_the_broker_does_not_report_is_listed_as_unchecked() -> None:
    assert unchecked(SPEC, None) == []
    assert unchecked(SPEC, TopicState(4, SPEC.config)) == []
    assert [note.split()[1] for note in unchecked(SPEC, TopicState(4, {"cleanup.policy": "x"}))] == ["retention.ms"]
    assert len(unchecked(SPEC, TopicState(4, None))) == 2


def test_transitions_are_created_with_a_longer_retention_than_they_need() -> None:
    spec = next(spec for spec in topic_specs(Settings()) if spec.name == "ouzel.transitions")
    assert int(spec.config["retention.ms"]) == 7 * 86_400_000
    assert int(spec.extra_config["retention.ms"]) > int(spec.config["retention.ms"])


def test_topics_written_per_event_have_the_partitions_of_the_events_topic() -> None:
    specs = {spec.name: spec for spec in topic_specs(Settings(topic_prefix="x.", partitions=7))}
    for name in ("events", "recommendations", "sessions-changelog", "dead-letters"):
        assert specs[f"x.{name}"].partitions == 7
    assert specs["x.transitions"].partitions == specs["x.learner"].partitions == 1
    assert specs["x.sessions-changelog"].config["cleanup.policy"] == "compact"


def test_a_rejected_login_is_more_specific_than_the_disconnections_around_it() -> None:
    disconnected, rejected = OSError("KafkaConnectionError: socket disconnected"), OSError("SaslAuthenticationFailedError")
    assert most_specific([disconnected, rejected, disconnected]) is rejected
    late = RequestTimedOutError("Request timed out after 22 ms")
    assert most_specific([disconnected, late, KafkaTimeoutError("Unable to bootstrap")]) is disconnected
