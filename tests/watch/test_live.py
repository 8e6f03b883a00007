"""Everything that dashboards and rules ask is asked of a real Prometheus that watches a real run; then things go wrong."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from support.expressions import BOARDS, queries_of_panels, rules, with_variables
from support.running import produce, wait_until
from support.watched import Site

from deploy.watch import GRAPHS

WINDOW, LENGTH = "10s", "60s"
ALERTS_FIRED = "overview / Alerts that fired / {{alertname}}"
EMPTY_IN_HEALTH = {
    "pipeline / Dead letters by reason / {{reason}}": "every record is an event",
    "pipeline / Foreign keys / {{kind}}": "every key is its user's",
    "serving / Failed writes / {{reason}}": "Kafka is there",
    "serving / Refused for want of a key / {{reason}}": "no keys are set",
    "serving / Connections cut / {{reason}}": "clients behave",
    "serving / Refused records / {{topic}}": "the topics hold what they should",
    "serving / Refused events / {{reason}}": "every event is one",
}
"""Counters by a label that nothing has happened to; Grafana says "no data". What alerts fired is looked at when one did."""
ANY_TIME = {
    "OuzelFreshnessBudgetBurn": "a machine that is busy with other tests is slow",
    "OuzelProcessingBudgetBurn": "with short windows the seconds of a rebalance are minutes",
    "OuzelDiskFilling": "the disk is that of whoever runs the tests",
}
"""What may fire however Ouzel is."""
NO_KAFKA = {"OuzelServeCannotWrite", "OuzelServingBudgetBurn", "OuzelCommitsFlat"}
REMEMBERED = {"OuzelServingBudgetBurn"}
"""What Kafka's absence has cost of a budget goes on to be told, as a warning."""
HANDED_OVER = {"OuzelNoLearner", "OuzelCommitsFlat"}
"""Windows are short here: until another worker has the partitions and the learner's place, nobody commits and learns."""


@pytest.fixture
def site(kafka_home: Path, data: Path, tmp_path: Path) -> Iterable[Site]:
    """Ouzel, at work."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (on Debian: apt install prometheus)")
    with Site(kafka_home, data / "rsc15", tmp_path) as running:
        yield running


def test_panels_and_rules_tell_of_a_healthy_run_and_the_right_alerts_of_what_goes_wrong(site: Site) -> None:
    every_panel_has_data(site)
    every_rule_works(site)
    every_variable_has_values(site)
    assert site.firing() <= set(ANY_TIME), "in health"

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
        fires(site, alert, beside=both | {"OuzelWorkerDown", "OuzelCommitsFlat"} | REMEMBERED)


def every_panel_has_data(site: Site) -> None:
    """Each query of each dashboard is answered, and with numbers."""
    asked = {str(one): with_variables(one.expression, WINDOW, LENGTH) for one in queries_of_panels()}
    asked |= {f"make watch / {number}": expression for number, expression in enumerate(GRAPHS)}
    assert {ALERTS_FIRED, *EMPTY_IN_HEALTH} <= set(asked)
    missing = set(asked) - set(EMPTY_IN_HEALTH) - {ALERTS_FIRED}

    def all_filled() -> bool:
        missing.difference_update([name for name in missing if site.has(asked[name])])
        return not missing

    with suppress(AssertionError):
        wait_until(all_filled, "data for every panel", timeout_s=90.0, every_s=2.0)
    assert not missing, "\n".join(f"{name}: {asked[name]}" for name in sorted(missing))
    for name in EMPTY_IN_HEALTH:
        assert not site.has(asked[name]), f"{name} is not empty"


def every_rule_works(site: Site) -> None:
    """As it is written, and shortened inside of Prometheus; what is recorded is there."""
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
    """What can be picked above the dashboards."""
    for variable in json.loads(BOARDS[0].read_text())["templating"]["list"][1:]:
        of = with_variables(variable["definition"]).removeprefix("label_values(").rsplit(",", 1)[0]
        values = site.prometheus.ask(f"label/{variable['name']}/values", **{"match[]": of})
        wanted = {"domain": 1, "job": 2, "instance": 3}[variable["name"]]
        assert len(values) == wanted, f"{variable['name']}: {values}"


def fires(
    site: Site, alert: str, beside: Collection[str] = (), while_doing: Callable[[], object] = lambda: None, within_s: float = 60.0
) -> None:
    """The alert fires, and until then none but those that may."""
    seen: set[str] = set()

    def fired() -> bool:
        while_doing()
        seen.update(site.firing())
        return alert in seen

    wait_until(fired, f"{alert} fires", within_s, every_s=0.5)
    assert seen <= {alert, *beside, *ANY_TIME}


def calms_down(site: Site, still: Collection[str] = ()) -> None:
    """What fired stops by itself."""
    for _ in range(120):
        loud = site.firing() - {*ANY_TIME, *still}
        if not loud:
            return
        time.sleep(0.5)
    pytest.fail(f"still firing: {loud}")


def flood(site: Site) -> None:
    """Records that are no events."""
    produce(site.settings, [(b"k", b"{no json") for _ in range(200)])
    time.sleep(0.1)
