"""`make watch`: runs the demo with a Prometheus, and prints links to its graphs and alerts.

Prometheus evaluates the rules of this folder. Ctrl-C stops everything.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import urllib.parse
from pathlib import Path

from deploy.prometheus.server import RULES, PrometheusError, PrometheusServer
from serving.cli import main
from serving.demo.processes import free_ports
from serving.terminal import say

PORT = 9090
EVERY_S = 2
GRAPHS = (
    "histogram_quantile(0.99, sum by (le) (rate(ouzel_freshness_seconds_bucket[30s])))",
    'avg by (method) (ouzel_live_recall{k="20"})',
    "sum by (outcome) (rate(ouzel_events_total[30s]))",
    "sum by (partition) (ouzel_consumer_lag)",
    "sum by (stage) (rate(ouzel_stage_seconds_sum[30s])) / on () group_left () sum(rate(ouzel_unit_size_count[30s]))",
    "ouzel_loss",
)
"""Freshness, accuracy, processed and waiting events, time per stage, and the loss of the model."""


def graphs(url: str) -> str:
    """Return the address of a page in Prometheus that shows `GRAPHS`."""
    parameters: dict[str, str] = {}
    for number, expression in enumerate(GRAPHS):
        parameters |= {f"g{number}.expr": expression, f"g{number}.tab": "0", f"g{number}.range_input": "5m"}
    return f"{url}/graph?{urllib.parse.urlencode(parameters, quote_via=urllib.parse.quote)}"


def watch(arguments: list[str]) -> None:
    """Run `ouzel demo` with these arguments beside a Prometheus, which ends with the demo."""
    worker, page = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="ouzel-watch-") as folder:
        targets = {"ouzel-worker": [f"127.0.0.1:{worker}"], "ouzel-serve": [f"127.0.0.1:{page}"]}
        rules = sorted(RULES.glob("*.yml"))
        with PrometheusServer(Path(folder), targets, rules, every_s=EVERY_S, port=_usual_port()) as prometheus:
            say(f"Prometheus: {prometheus.url} (alerts: {prometheus.url}/alerts)", f"Graphs: {graphs(prometheus.url)}", "")
            main(["demo", "--metrics-port", str(worker), "--page-port", str(page), *arguments])


def _usual_port() -> int | None:
    """Return the usual port of Prometheus, or ``None`` if it is in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return None
        return PORT


if __name__ == "__main__":
    try:
        watch(sys.argv[1:])
    except PrometheusError as error:
        say(f"make watch: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
