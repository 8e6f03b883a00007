from __future__ import annotations

from collections import Counter as Tally

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from support.running import samples

from models.baselines.null import NullRecommender
from streams.errors import Abandoned
from streams.observing.metrics import WORST_FRESHNESS_S
from streams.observing.telemetry import Telemetry
from streams.settings import Settings


def told(telemetry: Telemetry) -> dict[str, float]:
    return samples(generate_latest(telemetry.registry).decode())


def test_a_part_that_was_confirmed_is_timed_one_that_failed_is_counted_and_one_given_up_is_neither() -> None:
    telemetry = Telemetry()
    part = telemetry.parts["outputs"]
    with part:
        pass
    for error in (OSError, Abandoned):
        with pytest.raises(error), part:
            raise error
    found = told(telemetry)
    assert found["ouzel_delivery_seconds_count|part=outputs"] == 1
    assert found["ouzel_delivery_failures_total|part=outputs"] == 1


def test_who_keeps_numbers_is_asked_before_each_scrape() -> None:
    telemetry, kept = Telemetry(), {"tests": 0}
    counter = telemetry.quality.tests
    telemetry.before_scrape(lambda: telemetry.reach(counter, kept["tests"], "model"))
    for total in (0, 3, 3, 10):
        kept["tests"] = total
        assert told(telemetry)["ouzel_prequential_tests_total|method=model"] == total


def test_no_series_has_a_created_twin() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry)
    telemetry.journey.stage.labels("step").observe(1)
    Counter("more", "Text.", registry=registry).inc()
    assert b"_created" not in generate_latest(registry)


def test_a_backlogs_freshness_is_cut() -> None:
    telemetry = Telemetry()
    telemetry.unit_done([], Tally(), [0, 1_000_000_005_000], [0], now=1e9)
    found = told(telemetry)
    assert found["ouzel_freshness_seconds_sum"] == WORST_FRESHNESS_S
    assert found["ouzel_freshness_seconds_bucket|le=0.001"] == 1


def test_the_domain_is_told_once() -> None:
    telemetry = Telemetry()
    telemetry.tell_build(Settings(topic_prefix="shop.eu.", model="null", delivery="exactly_once"))
    (build,) = (name for name in told(telemetry) if name.startswith("ouzel_build_info"))
    assert build.split("|")[1:5] == ["delivery=exactly_once", "domain=shop.eu", "encoder=none", "model=null"]


def test_a_model_that_learns_nothing_is_told_of_too() -> None:
    telemetry = Telemetry()
    telemetry.tell_model(NullRecommender())
    telemetry.parameters_taken(100.0, 100.25)
    telemetry.stepped(0.5)
    telemetry.recovered(2.0)
    found = told(telemetry)
    assert (found["ouzel_vocabulary_items"], found["ouzel_new_items"]) == (0, 0)
    assert (found["ouzel_parameters_timestamp_seconds"], found["ouzel_parameters_delay_seconds"]) == (100, 0.25)
    assert (found["ouzel_learning_step_seconds_sum"], found["ouzel_model_busy_seconds_total|work=learn"]) == (0.5, 0.5)
    assert (found["ouzel_recoveries_total"], found["ouzel_recovery_seconds"]) == (1, 2)
