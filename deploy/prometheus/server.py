"""A Prometheus of one's own, on loopback: for `make watch` and for the tests."""

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
    """Prometheus is not there, or did not start; the message says which, in one line."""


class PrometheusServer:
    """A process that scrapes ``targets`` (addresses by job) every so many seconds and evaluates the rules; a context manager.

    Its files, the data too, are in ``folder``. Raises `PrometheusError`.
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
        until = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            if self.child.returncode is not None or time.monotonic() > until:
                self.child.stop()
                raise PrometheusError(f"prometheus did not start: {self.child.tail(1)}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.child is not None:
            self.child.stop()

    def ask(self, path: str, **parameters: str) -> Any:
        """What the HTTP API answers: the `data` of ``/api/v1/`` and the path. Raises `PrometheusError` with its error."""
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


def configuration(targets: Mapping[str, Sequence[str]], rules: Sequence[Path], every_s: int) -> dict[str, Any]:
    """Prometheus' configuration; JSON is YAML."""
    return {
        "global": {"scrape_interval": f"{every_s}s", "scrape_timeout": f"{every_s}s", "evaluation_interval": f"{every_s}s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ],
    }
