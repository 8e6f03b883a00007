"""Runs every query of dashboards and rules on a real Prometheus that watches a real run.

Then it causes failures, and checks that the right alerts fire.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from support.expressions import BOARDS, queries_of_panels, rules, with_variables
from support.processes.running import produce, wait_until
from support.watched import Site

from deploy.watch import GRAPHS

WINDOW, LENGTH = "10s", "60s"
ALERTS_FIRED = "overview / Alerts that fired / {{alertname}}"
EMPTY_IN_HEALTH = {
    "pipeline / Dead letters by reason / {{reason}}": "every record is a valid event",
    "pipeline / Foreign keys / {{kind}}": "every key is its user's",
    "pipeline / Rare events / items refused": "every item is valid",
    "model / Items refused / {{reason}}": "every item is valid",
    "model / Fields of items dropped / {{field}}": "every field of an item can be read",
    "intake / Without an event / {{topic}}, {{cause}}": "every record holds an event",
    "intake / Without an event / {{topic}}, deletion": "nobody is deleted",
    "intake / Dead letters / {{topic}}, {{reason}}": "every record is a valid event",
    "intake / Removed before they were read / {{topic}}": "the topic keeps its records",
    "serving / Fields of items dropped / {{field}}": "every field of an item can be read",
    "serving / Failed writes / {{reason}}": "Kafka is available",
    "serving / Refused keys / {{reason}}": "no keys are set",
    "serving / Connections closed / {{reason}}": "every client behaves",
    "serving / Refused events / {{reason}}": "every event is valid",
}
"""Panels without data in a healthy run, and why; Grafana shows "no data" for them.

The panel of alerts is checked after an alert has fired.
"""
ANY_TIME = {
    "OuzelFreshnessBudgetBurn": "a machine that runs other tests is slow",
    "OuzelProcessingBudgetBurn": "the short windows turn the seconds of a rebalance into minutes",
    "OuzelDiskFilling": "it depends on the disk of the test machine",
}
"""Alerts that may fire at any time, and why."""
NO_KAFKA = {"OuzelServeCannotWrite", "OuzelServingBudgetBurn", "OuzelCommitsFlat"}
REMEMBERED = {"OuzelServingBudgetBurn"}
"""Alerts that keep firing as a warning, for the error budget that was used without Kafka."""
HANDED_OVER = {"OuzelNoLearner", "OuzelTrainerDown", "OuzelCommitsFlat"}
"""Alerts that may fire, with these short windows, until another worker and trainer have begun."""


@pytest.fixture
def site(kafka_home: Path, data: Path, prometheus: Path, tmp_path: Path) -> Iterable[Site]:
    """A running Ouzel with a Prometheus."""
    with Site(kafka_home, data / "rsc15", tmp_path) as running:
        yield running


def test_panels_have_data_in_a_healthy_run_and_failures_fire_the_right_alerts(site: Site) -> None:
    every_panel_has_data(site)
    every_rule_works(site)
    every_variable_has_values(site)
    assert site.firing() <= set(ANY_TIME), "in a healthy run"

    fires(site, "OuzelDeadLetterRatio", while_doing=lambda: flood(site))
    assert site.has(next(one.expression for one in queries_of_panels() if str(one) == ALERTS_FIRED))
    calms_down(site)

    site.pause_broker()
    try:
        fires(site, "OuzelBrokerUnreachable", beside=NO_KAFKA)
    finally:
        site.resume_broker()
    calms_down(site, still=REMEMBERED)

    site.learner().kill()
    fires(site, "OuzelWorkerDown", beside=HANDED_OVER | REMEMBERED)
    site.learner()
    calms_down(site, still={"OuzelWorkerDown"} | REMEMBERED)

    site.learner().kill()
    both = {"OuzelNoLearner", "OuzelNoWorker"}
    for alert in both:
        fires(site, alert, beside=both | HANDED_OVER | {"OuzelWorkerDown"} | REMEMBERED)


def every_panel_has_data(site: Site) -> None:
    """Every query of every dashboard returns numbers."""
    queries = {str(one): with_variables(one.expression, WINDOW, LENGTH) for one in queries_of_panels()}
    queries |= {f"make watch / {number}": expression for number, expression in enumerate(GRAPHS)}
    assert {ALERTS_FIRED, *EMPTY_IN_HEALTH} <= set(queries)
    missing = set(queries) - set(EMPTY_IN_HEALTH) - {ALERTS_FIRED}

    def all_filled() -> bool:
        missing.difference_update([name for name in missing if site.has(queries[name])])
        return not missing

    with suppress(AssertionError):
        wait_until(all_filled, "data for every panel", timeout_s=90.0, every_s=2.0)
    site.check()
    assert not missing, "\n".join(f"{name}: {queries[name]}" for name in sorted(missing))
    for name in EMPTY_IN_HEALTH:
        assert not site.has(queries[name]), f"{name} is not empty"


def every_rule_works(site: Site) -> None:
    """Every rule works as written, and with short windows in Prometheus; recorded series exist."""
    for rule in rules():
        answer = site.prometheus.ask("query", query=rule["expr"])
        assert answer["resultType"] == "vector"
        if "record" in rule:
            assert answer["result"], rule["record"]
            wait_until(lambda name=rule["record"]: site.has(name), f"{rule['record']} recorded", 30.0)  # type: ignore[misc]
    for group in site.prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"


def every_variable_has_values(site: Site) -> None:
    """Every selection above the dashboards has values."""
    for variable in json.loads(BOARDS[0].read_text())["templating"]["list"][1:]:
        of = with_variables(variable["definition"]).removeprefix("label_values(").rsplit(",", 1)[0]
        values = site.prometheus.ask(f"label/{variable['name']}/values", **{"match[]": of})
        wanted = {"domain": 1, "job": 3, "instance": 4}[variable["name"]]
        assert len(values) == wanted, f"{variable['name']}: {values}"


def fires(
    site: Site, alert: str, beside: Collection[str] = (), while_doing: Callable[[], object] = lambda: None, within_s: float = 60.0
) -> None:
    """Wait until the alert fires; until then only the alerts in ``beside`` may fire."""
    seen: set[str] = set()

    def fired() -> bool:
        while_doing()
        seen.update(site.firing())
        return alert in seen

    wait_until(fired, f"{alert} fires", within_s, every_s=0.5)
    assert seen <= {alert, *beside, *ANY_TIME}


def calms_down(site: Site, still: Collection[str] = ()) -> None:
    """Wait until every alert except those in ``still`` has stopped firing."""
    for _ in range(120):
        loud = site.firing() - {*ANY_TIME, *still}
        if not loud:
            return
        time.sleep(0.5)
    pytest.fail(f"still firing: {loud}")


def flood(site: Site) -> None:
    """Send records that are not valid events."""
    produce(site.settings, [(b"k", b"{no json") for _ in range(200)])
    time.sleep(0.1)
