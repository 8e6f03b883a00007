from __future__ import annotations

import pytest
from kafka.errors import KafkaTimeoutError, RequestTimedOutError

from streams.kafka.connection import most_telling
from streams.kafka.topics import TopicSpec, TopicState, differences, topic_specs, untold
from streams.settings import Settings

SPEC = TopicSpec("t", 4, {"cleanup.policy": "compact,delete", "retention.ms": "1000"})


@pytest.mark.parametrize(
    ("state", "told"),
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
def test_a_difference_is_told(state: TopicState | None, told: str | None) -> None:
    problems = differences(SPEC, state)
    assert len(problems) == (told is not None)
    assert told is None or told in problems[0]


def test_what_a_broker_does_not_tell_is_said() -> None:
    assert untold(SPEC, None) == []
    assert untold(SPEC, TopicState(4, SPEC.config)) == []
    assert [note.split()[1] for note in untold(SPEC, TopicState(4, {"cleanup.policy": "x"}))] == ["retention.ms"]
    assert len(untold(SPEC, TopicState(4, None))) == 2


def test_transitions_are_made_with_more_than_they_need() -> None:
    spec = next(spec for spec in topic_specs(Settings()) if spec.name == "ouzel.transitions")
    assert int(spec.config["retention.ms"]) == 7 * 86_400_000
    assert int(spec.made_with["retention.ms"]) > int(spec.config["retention.ms"])


def test_what_is_published_beside_an_event_has_its_partitions() -> None:
    specs = {spec.name: spec for spec in topic_specs(Settings(topic_prefix="x.", partitions=7))}
    for name in ("events", "recommendations", "sessions-changelog", "dead-letters"):
        assert specs[f"x.{name}"].partitions == 7
    assert specs["x.transitions"].partitions == specs["x.learner"].partitions == 1
    assert specs["x.sessions-changelog"].config["cleanup.policy"] == "compact"


def test_a_refusal_tells_more_than_the_hanging_up_around_it() -> None:
    hung_up, refused = OSError("KafkaConnectionError: socket disconnected"), OSError("SaslAuthenticationFailedError")
    assert most_telling([hung_up, refused, hung_up]) is refused
    late = RequestTimedOutError("Request timed out after 22 ms")
    assert most_telling([hung_up, late, KafkaTimeoutError("Unable to bootstrap")]) is hung_up
