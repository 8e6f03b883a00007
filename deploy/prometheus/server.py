"""Starts a Prometheus on loopback, for `make watch` and for the tests."""

from __future__ import annotations

import json
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from serving.demo.processes import Child, free_ports
from serving.errors import CliError

RULES = Path(__file__).parent / "rules"
READY_WITHIN_S = 30.0


class PrometheusError(CliError):
    """Prometheus is not installed, did not start, or refused a query. The message is one line."""


class PrometheusServer:
    """A context manager that runs a Prometheus, which scrapes targets and evaluates rules.

    ``targets`` are addresses by job; ``every_s`` is the interval of scrapes and evaluations. All
    its files, including its data, are in ``folder``. Entering it raises `PrometheusError`.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, Sequence[str]],
        rules: Sequence[Path],
        *,
        every_s: int = 5,
        port: int | None = None,
    ) -> None:
        self.address = f"127.0.0.1:{port or free_ports(1)[0]}"
        self.url = f"http://{self.address}"
        self._folder = folder
        self._config = configuration(targets, rules, every_s)
        self.child: Child | None = None

    def __enter__(self) -> PrometheusServer:
        program = shutil.which("prometheus")
        if program is None:
            raise PrometheusError("prometheus is not installed (on Debian: apt install prometheus)")
        config = self._folder / "prometheus.json"
        config.write_text(json.dumps(self._config))
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            f"--web.listen-address={self.address}",
        ]
        self.child = Child("prometheus", command, self._folder / "prometheus.log")
        self.child.__enter__()
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            if self.child.returncode is not None or time.monotonic() > deadline:
                self.child.stop()
                raise PrometheusError(f"prometheus did not start: {self.child.tail(1)}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.child is not None:
            self.child.stop()

    def ask(self, path: str, **parameters: str) -> Any:
        """Call ``/api/v1/`` and ``path`` of the HTTP API, and return the `data` of the answer.

        Raises `PrometheusError` with the error of Prometheus.
        """
        query = urllib.parse.urlencode(parameters).encode()
        request = f"{self.url}/api/v1/{path}" + (f"?{query.decode()}" if query else "")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise PrometheusError(json.load(refused)["error"]) from refused

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):
                return True
        except OSError:
            return False


def configuration(targets: Mapping[str, Sequence[str]], rules: Sequence[Path], every_s: int) -> dict[str, object]:
    """Return the configuration of Prometheus. It is written as JSON, which is valid YAML."""
    return {
        "global": {"scrape_interval": f"{every_s}s", "scrape_timeout": f"{every_s}s", "evaluation_interval": f"{every_s}s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ],
    }
