from __future__ import annotations

import dataclasses

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.processes.running import samples

from models.baselines.null import NullRecommender
from streams.counts import Counts
from streams.errors import Abandoned
from streams.events.notes import Kind, Note
from streams.observing.metrics import WORST_FRESHNESS_S
from streams.observing.telemetry import Telemetry
from streams.settings import Settings

COUNTED = {
    "dead_letter": (["empty"], "ouzel_dead_letters_total|reason=empty"),
    "foreign_key": (["null"], "ouzel_foreign_keys_total|kind=null"),
    "transition": ([], "ouzel_transitions_total"),
    "recommendation": (["hybrid"], "ouzel_recommendations_total|strategy=hybrid"),
    "expired": ([], "ouzel_sessions_expired_total"),
    "item": (["gru"], "ouzel_recommended_items_total|expert=gru"),
    "tail_item": ([], "ouzel_recommended_tail_items_total"),
    "repeated_item": ([], "ouzel_recommended_repeats_total"),
    "click": (["hybrid", "1"], "ouzel_recommendation_clicks_total|rank=1|strategy=hybrid"),
    "impression": (["hybrid", "1"], "ouzel_recommendation_impressions_total|rank=1|strategy=hybrid"),
    "follow_up": (["hybrid", "1"], "ouzel_recommendation_follow_ups_total|rank=1|strategy=hybrid"),
    "unattributed": ([], "ouzel_recommendations_unattributed_total"),
    "note": ([Note(Kind.DROPPED, "price"), ("events", 0, 7)], "ouzel_event_fields_total|field=price|problem=dropped"),
}
"""The methods of `Counts`: values of their labels, and the series that they raise."""


def scrape(telemetry: Telemetry) -> dict[str, float]:
    return samples(generate_latest(telemetry.registry).decode())


def test_the_quick_parser_of_the_tests_reads_what_that_of_prometheus_client_does() -> None:
    telemetry = Telemetry()
    odd = Counter("odd", "Has every character.", ["b", "a"], registry=telemetry.registry)
    odd.labels('a "quoted" \\ path\\n', 'two\nlines, {x="y"} \u2028 # 1').inc(2)
    odd.labels("", "é").inc(float("inf"))
    text = generate_latest(telemetry.registry).decode()
    parsed = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    expected = {s.name + "".join(f"|{k}={v}" for k, v in sorted(s.labels.items())): s.value for s in parsed}
    assert samples(text) == expected
    assert len(expected) > 300
    assert expected['odd_total|a=two\nlines, {x="y"} \u2028 # 1|b=a "quoted" \\ path\\n'] == 2


@pytest.mark.parametrize("method", COUNTED)
def test_every_family_of_counts_reaches_its_metric(method: str) -> None:
    telemetry, counts = Telemetry(), Counts()
    labels, series = COUNTED[method]
    getattr(counts, method)(*labels)
    telemetry.unit_done([], Counts(), [], [], now=0.0)
    assert not scrape(telemetry).get(series)
    telemetry.unit_done([], counts, [], [], now=0.0)
    assert scrape(telemetry)[series] == 1


def test_every_method_of_counts_has_a_family_of_its_own_and_is_tested() -> None:
    assert COUNTED.keys() == {name for name in vars(Counts) if not name.startswith("_")} - Counts.__dataclass_fields__.keys()
    changed = {"examples"}  # what `note` keeps beside its count, for the log
    for method, (labels, _) in COUNTED.items():
        counts = Counts()
        getattr(counts, method)(*labels)
        (family,) = {field.name for field in dataclasses.fields(Counts) if getattr(counts, field.name)} - {"examples"}
        changed.add(family)
    assert changed == Counts.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("note", "series"),
    [
        (Note(Kind.TIME, "kafka"), "ouzel_event_times_total|form=kafka"),
        (Note(Kind.EARLY, "timestamp"), "ouzel_early_events_total"),
        (Note(Kind.UNTYPED, "event_type"), "ouzel_untyped_events_total"),
        (Note(Kind.GUEST, "user_id"), "ouzel_event_fields_total|field=user_id|problem=guest"),
    ],
)
def test_every_kind_of_note_reaches_its_metric(note: Note, series: str) -> None:
    telemetry, counts = Telemetry(), Counts()
    counts.notes[note] = 2
    telemetry.unit_done([], counts, [], [], now=0.0)
    assert scrape(telemetry)[series] == 2


def test_a_confirmed_part_is_timed_a_failed_one_is_counted_and_an_abandoned_one_is_neither() -> None:
    telemetry = Telemetry()
    part = telemetry.parts["outputs"]
    with part:
        pass
    for error in (OSError, Abandoned):
        with pytest.raises(error), part:
            raise error
    shown = scrape(telemetry)
    assert shown["ouzel_delivery_seconds_count|part=outputs"] == 1
    assert shown["ouzel_delivery_failures_total|part=outputs"] == 1


def test_callbacks_run_before_each_scrape() -> None:
    telemetry, tally = Telemetry(), {"tests": 0}
    counter = telemetry.quality.tests
    telemetry.before_scrape(lambda: telemetry.reach(counter, tally["tests"], "model"))
    for total in (0, 3, 3, 10):
        tally["tests"] = total
        assert scrape(telemetry)["ouzel_prequential_tests_total|method=model"] == total


def test_no_series_of_creation_times() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    telemetry.journey.stage.labels("step").observe(1)
    Counter("more", "Text.", registry=registry).inc()
    assert b"_created" not in generate_latest(registry)


def test_the_freshness_of_a_backlog_is_bounded() -> None:
    telemetry = Telemetry()
    telemetry.unit_done([], Counts(), [0, 1_000_000_005_000], [0], now=1e9)
    shown = scrape(telemetry)
    assert shown["ouzel_freshness_seconds_sum"] == WORST_FRESHNESS_S
    assert shown["ouzel_freshness_seconds_bucket|le=0.001"] == 1


def test_the_build_metric_has_the_domain() -> None:
    telemetry = Telemetry()
    telemetry.set_build(Settings(topic_prefix="shop.eu.", model="null", delivery="exactly_once"))
    (build,) = (name for name in scrape(telemetry) if name.startswith("ouzel_build_info"))
    assert build.split("|")[1:5] == ["delivery=exactly_once", "domain=shop.eu", "encoder=none", "model=null"]


def test_a_model_that_learns_nothing_has_metrics_too() -> None:
    telemetry = Telemetry()
    telemetry.set_model(NullRecommender())
    telemetry.parameters_taken(100.0, 100.25)
    telemetry.recovered(2.0)
    shown = scrape(telemetry)
    assert (shown["ouzel_vocabulary_items"], shown["ouzel_new_items"]) == (0, 0)
    assert (shown["ouzel_parameters_timestamp_seconds"], shown["ouzel_parameters_delay_seconds"]) == (100, 0.25)
    assert (shown["ouzel_recoveries_total"], shown["ouzel_recovery_seconds"]) == (1, 2)
