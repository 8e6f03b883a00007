"""What each topic must be, and how a difference is reported."""

from __future__ import annotations

import pytest
from kafka.errors import KafkaTimeoutError, RequestTimedOutError

from streams.kafka.connection import most_specific
from streams.kafka.topic_checks import differences, topic_problems, unchecked
from streams.kafka.topics import AS_EVENTS, TopicSpec, TopicState, topic_specs
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


@pytest.mark.parametrize(
    ("wanted", "counts", "advice"),
    [
        (4, {"events": 6}, "run `ouzel topics grow --partitions 6`, and set OUZEL_PARTITIONS=6"),
        (6, {"events": 6}, "run `ouzel topics grow --partitions 6`, and set OUZEL_PARTITIONS=6"),
        (4, {"recommendations": 6}, "run `ouzel topics grow --partitions 6`, and set OUZEL_PARTITIONS=6"),
        (8, {}, "set OUZEL_PARTITIONS=4, or stop the workers, run `ouzel topics grow --partitions 8`;"),
        (2, {}, "set OUZEL_PARTITIONS=4; for fewer partitions create new topics"),
        (4, {"events": 2}, "run `ouzel topics grow --partitions 4`, and set OUZEL_PARTITIONS=4"),
    ],
)
def test_all_lines_about_partitions_give_the_same_advice(wanted: int, counts: dict[str, int], advice: str) -> None:
    settings = Settings(topic_prefix="", partitions=wanted)
    states = {
        spec.name: TopicState(counts.get(spec.name, spec.partitions), None) for spec in topic_specs(Settings(topic_prefix=""))
    }
    problems = topic_problems(settings, states)
    differing = [name for name in AS_EVENTS if counts.get(name, 4) != wanted]
    assert sorted(problem.split(":")[0] for problem in problems) == sorted(differing)
    assert all(advice in problem for problem in problems)


def test_items_may_have_any_number_of_partitions_and_the_log_of_transitions_only_one() -> None:
    settings = Settings(topic_prefix="", partitions=1)
    states = {spec.name: TopicState(1, None) for spec in topic_specs(settings)}
    assert topic_problems(settings, states | {"items": TopicState(9, None)}) == []
    (problem,) = topic_problems(settings, states | {"transitions": TopicState(3, None)})
    assert problem.startswith("transitions: the topic has 3 partitions, must have 1; create new topics")
    assert "OUZEL_PARTITIONS" not in problem


def test_a_rejected_login_is_more_specific_than_the_disconnections_around_it() -> None:
    disconnected, rejected = OSError("KafkaConnectionError: socket disconnected"), OSError("SaslAuthenticationFailedError")
    assert most_specific([disconnected, rejected, disconnected]) is rejected
    late = RequestTimedOutError("Request timed out after 22 ms")
    assert most_specific([disconnected, late, KafkaTimeoutError("Unable to bootstrap")]) is disconnected
