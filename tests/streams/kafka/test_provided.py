"""Events and items that are there already, in topics of the user's own."""

from __future__ import annotations

import pytest

from streams.errors import Refused
from streams.kafka.partitions import PartitionsGrown
from streams.kafka.permissions import not_allowed, read_only
from streams.kafka.topic_checks import losses, topic_problems
from streams.kafka.topics import AS_EVENTS, TopicState, as_described, events_retention_ms, topic_specs
from streams.settings import Settings

OWN = Settings(topic_prefix="", events_topic="clickstream.v1", items_topic="products.v3")
DAY_MS = 86_400_000


def states(settings: Settings, partitions: int, **own: TopicState | None) -> dict[str, TopicState | None]:
    """The topics as Ouzel creates them, for events of this number of partitions."""
    known = settings.model_copy(update={"partitions": partitions})
    made: dict[str, TopicState | None] = {spec.name: TopicState(spec.partitions, spec.config) for spec in topic_specs(known)}
    return made | {settings.topic(name): state for name, state in own.items()}


def test_the_partitions_of_the_users_events_topic_become_those_of_our_topics() -> None:
    described = states(OWN, 7)
    settings = as_described(OWN, described)
    assert settings.partitions == 7
    specs = {spec.name: spec for spec in topic_specs(settings)}
    assert {specs[settings.topic(name)].partitions for name in AS_EVENTS} == {7}
    assert topic_problems(settings, described) == []
    assert as_described(Settings(partitions=3), states(Settings(), 7)).partitions == 3


def test_another_number_of_partitions_in_the_settings_is_refused() -> None:
    agreeing, differing = (Settings(events_topic="clickstream.v1", partitions=number) for number in (7, 4))
    assert as_described(agreeing, states(agreeing, 7)).partitions == 7
    with pytest.raises(
        Refused, match=r"clickstream\.v1 has 7 partitions, and OUZEL_PARTITIONS is 4\. Unset OUZEL_PARTITIONS"
    ) as bad:
        as_described(differing, states(differing, 7))
    assert bad.value.exit_code == 2


@pytest.mark.parametrize(("name", "variable"), [("events", "OUZEL_EVENTS_TOPIC"), ("items", "OUZEL_ITEMS_TOPIC")])
def test_a_missing_topic_of_the_user_is_refused_by_the_name_of_its_setting(name: str, variable: str) -> None:
    with pytest.raises(Refused, match=rf"^{variable}: topic {OWN.topic(name)} is missing or not visible"):
        as_described(OWN, states(OWN, 4, **{name: None}))


def test_any_retention_any_cleanup_and_any_number_of_item_partitions_are_right() -> None:
    own = {
        "events": TopicState(4, {"cleanup.policy": "compact,delete", "retention.ms": "1000"}),
        "items": TopicState(9, {"cleanup.policy": "delete", "retention.ms": "1000"}),
    }
    assert topic_problems(OWN, states(OWN, 4, **own)) == []


def test_a_compression_that_ouzel_cannot_read_is_a_problem_of_the_users_topic_too() -> None:
    (problem,) = topic_problems(OWN, states(OWN, 4, events=TopicState(4, {"compression.type": "brotli"})))
    assert problem.startswith("clickstream.v1: compression.type is brotli")


def test_our_topics_that_have_another_number_say_what_grows() -> None:
    smaller, larger = (states(OWN, 6, recommendations=TopicState(count, None)) for count in (4, 8))
    (problem,) = topic_problems(as_described(OWN, smaller), smaller)
    assert problem.endswith("has 4 partitions, clickstream.v1 has 6; stop the workers, run `ouzel topics grow --partitions 6`")
    (problem,) = topic_problems(as_described(OWN, larger), larger)
    assert "add partitions to clickstream.v1 with Kafka's own tools until it has 8" in problem
    assert "OUZEL_PARTITIONS" not in problem
    grown = str(PartitionsGrown(as_described(OWN, states(OWN, 6)), 8))
    assert grown.startswith("clickstream.v1 has 8 partitions, and had 6 when this process started")
    assert grown.endswith("start them without OUZEL_PARTITIONS")


@pytest.mark.parametrize(
    ("name", "config", "warned"),
    [
        ("events", {"cleanup.policy": "delete", "retention.ms": "1000"}, False),
        ("events", {"cleanup.policy": "compact"}, True),
        ("events", {"cleanup.policy": "compact,delete"}, True),
        ("items", {"cleanup.policy": "compact"}, False),
        ("items", {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}, False),
        ("items", {"cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "-1"}, True),
        ("items", {"cleanup.policy": "compact,delete", "retention.ms": "-1", "retention.bytes": "1000"}, True),
        ("items", None, False),
    ],
)
def test_records_that_kafka_may_remove_unread_are_a_warning(name: str, config: dict[str, str] | None, warned: bool) -> None:
    lines = losses(OWN, states(OWN, 4, **{name: TopicState(4, config)}))
    assert [line.split(":")[0] for line in lines] == [OWN.topic(name)] * warned
    ours = Settings(topic_prefix="")
    assert losses(ours, states(ours, 4, **{name: TopicState(4, config)})) == []


def test_a_topic_that_is_only_compacted_keeps_events_for_ever() -> None:
    for policy, kept in (("delete", DAY_MS), ("compact,delete", DAY_MS), ("compact", None)):
        state = TopicState(4, {"cleanup.policy": policy, "retention.ms": str(DAY_MS)})
        assert events_retention_ms(OWN, states(OWN, 4, events=state)) == kept


def test_a_worker_only_reads_the_users_topics_and_a_server_that_may_only_read_says_what_it_rejects() -> None:
    allowed = frozenset({"READ", "DESCRIBE", "DESCRIBE_CONFIGS"})
    own = {name: TopicState(4, None, allowed) for name in ("events", "items")}
    described = states(OWN, 4, **own)
    assert read_only(OWN, described) == [
        "clickstream.v1: this user may not WRITE, so this server rejects all events and deletions of users that it gets by HTTP",
        "products.v3: this user may not WRITE, so this server rejects all items that it gets by HTTP",
    ]
    described["products.v3"] = TopicState(4, None, allowed | {"WRITE"})
    assert len(read_only(OWN, described)) == 1
    assert read_only(Settings(topic_prefix=""), states(Settings(topic_prefix=""), 4, **own)) == []
    unread = {name: TopicState(4, None, frozenset({"DESCRIBE", "DESCRIBE_CONFIGS"})) for name in ("events",)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.kafka.permissions._may_join", lambda *_: True)
        assert not_allowed(OWN, described) == []
        (problem,) = not_allowed(OWN, states(OWN, 4, **unread))
    assert problem.startswith("clickstream.v1: this user may not READ")
