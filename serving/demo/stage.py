"""Starts the processes of the demo: a broker, a worker, the page and a source of events."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from serving.demo.brokers import ApacheBroker, EmbeddedBroker
from serving.demo.processes import Child, free_ports
from serving.demo.tally import Positions, end_positions
from serving.errors import CliError
from serving.state.worker_metrics import WorkerMetrics, scrape
from streams.child_command import module_command
from streams.configuration.kafka import addresses
from streams.errors import Refused
from streams.kafka.topics import create_topics
from streams.settings import Settings, load_settings

READY_WITHIN_S = 120.0
SAYS = "ouzel: "
"""How the line of a command that fails begins."""
TURN_S = 0.25
MOST_MEMORY = 2 << 30
"""Bytes of memory of the embedded broker at which the demo ends."""
OWN_NAMES: Mapping[str, object] = {"events_topic": None, "items_topic": None, "topic_names": {}}
"""What the settings of the demo have in place of names of topics."""


class DemoError(CliError):
    """The demo failed. The message says which part failed, with the end of its log."""


@dataclass(frozen=True)
class DemoOptions:
    """The options of `ouzel demo`.

    ``events`` is the number of events after which the demo ends. ``data`` are files of recorded
    clicks, which replace the simulated shop. ``rate`` is in events per second; 0 is as fast as
    possible. ``json`` is a file for the summary. ``metrics_port`` and ``page_port`` are the ports
    of the worker's metrics and of the page; ``None`` takes a free one. ``browser`` opens the page
    in a browser if there is one.
    """

    events: int | None = None
    data: Sequence[Path] = ()
    rate: float = 250.0
    json: Path | None = None
    broker: str | None = None
    kafka_home: Path | None = None
    metrics_port: int | None = None
    page_port: int | None = None
    browser: bool = True

    @property
    def embedded(self) -> bool:
        """Whether to start the embedded broker."""
        return not (self.broker or self.kafka_home)


NOTHING = "null"
"""The model that learns nothing."""


class Stage:
    """The processes of the demo. When ``stack`` is closed, they stop, the newest first."""

    settings: Settings
    start: Positions
    """The end offsets of the topics before the demo."""
    worker: Child
    page: Child
    source: Child
    embedded: EmbeddedBroker | None = None
    """The embedded broker, if this demo has started it."""

    def __init__(self, options: DemoOptions, console: Console, folder: Path, stack: ExitStack) -> None:
        self._options = options
        self._console = console
        self._folder = folder
        self._stack = stack
        self._full = False
        metrics, page = free_ports(2)
        self._port, self._page_port = options.metrics_port or metrics, options.page_port or page

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self._page_port}"

    def set_up(self) -> None:
        """Start the broker, the worker, the page and the source of events, in this order.

        Raises `DemoError` or `BrokerError`.
        """
        self.settings = self._topics(self._broker())
        self.start = end_positions(self.settings)
        self._console.print("Starting the worker and the page (the first start compiles the model and takes longer) ...")
        self.worker, self.page = self._child("worker", ["worker"]), self._child("page", ["serve"])
        learns = self.settings.model != NOTHING
        # The trainer starts after the worker, and takes a core for some seconds.
        self._await(self.worker, lambda: (found := self.metrics()) is not None and found.ready and (found.trains or not learns))
        self._await(self.page, lambda: _answers(f"{self.address}/health/ready"))
        self.source = self._child(*self._feed())

    def metrics(self) -> WorkerMetrics | None:
        """Return the worker's metrics, or ``None`` while it does not answer."""
        return scrape(self._port)

    def check(self) -> None:
        """Raise `DemoError` if a process has failed, or has ended although it should still run."""
        self._check_started()
        if not self._full:
            _check(self.source, ended_well=True)

    def stop_if_full(self) -> bool:
        """Stop the source once the embedded broker uses `MOST_MEMORY`. Return whether this did."""
        child = None if self.embedded is None else self.embedded.child
        if child is None or self._full or child.memory < MOST_MEMORY:
            return False
        self._full = True
        self.source.stop()
        return True

    def _await(self, child: Child, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_ready():
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the {child.name} was not ready within {READY_WITHIN_S:.0f} s. The end of its log:",
                    *child.tail().splitlines(),
                )
            self._check_started()
            time.sleep(TURN_S)

    def _check_started(self) -> None:
        _check(self.worker, ended_well=False)
        _check(self.page, ended_well=False)

    def _broker(self) -> str:
        options = self._options
        if options.broker:
            return options.broker
        if options.kafka_home:
            self._console.print("Starting Apache Kafka ...")
            return self._stack.enter_context(ApacheBroker(options.kafka_home)).bootstrap
        self._console.print(
            "Starting the embedded broker ... It keeps every record in memory, so the demo ends when it uses "
            f"{MOST_MEMORY >> 30} GB.",
            soft_wrap=True,
        )
        self.embedded = EmbeddedBroker()
        return self._stack.enter_context(self.embedded).bootstrap

    def _topics(self, broker: str) -> Settings:
        """Create the topics. The demo never uses the user's own, because its events are invented.

        If the events topic already has events, use a new set of topics instead.
        """
        settings = load_settings()
        changes: dict[str, object] = {"idempotent": False} if self._options.embedded else {}
        try:
            broker = addresses(broker, settings.security_protocol)
        except ValueError as error:
            raise Refused(f"--broker: {error}. Correct --broker.") from None
        settings = settings.model_copy(update={"broker": broker, **OWN_NAMES, **changes})
        create_topics(settings)
        if any(end_positions(settings, ["events"]).values()):
            name = f"ouzel-demo-{time.strftime('%Y%m%d-%H%M%S')}"
            self._console.print(f"{settings.topic('events')} already has events, so the demo uses new topics: {name}.*")
            settings = settings.model_copy(update={"topic_prefix": f"{name}.", "app_id": name})
            create_topics(settings)
        return settings

    def _child(self, name: str, arguments: Sequence[str]) -> Child:
        settings = self.settings
        environment = {
            "OUZEL_BROKER": settings.broker,
            "OUZEL_TOPIC_PREFIX": settings.topic_prefix,
            "OUZEL_EVENTS_TOPIC": "",
            "OUZEL_ITEMS_TOPIC": "",
            "OUZEL_TOPIC_NAMES": "{}",
            "OUZEL_APP_ID": settings.app_id,
            "OUZEL_DATA_DIR": str(self._folder / "data"),
            "OUZEL_METRICS_HOST": "127.0.0.1",
            "OUZEL_METRICS_PORT": str(self._port),
            "OUZEL_SERVE_HOST": "127.0.0.1",
            "OUZEL_SERVE_PORT": str(self._page_port),
            "OUZEL_SERVE_KEYS": "",
            "OUZEL_SERVE_WORKER_METRICS": json.dumps([f"127.0.0.1:{self._port}"]),
            "OUZEL_IDEMPOTENT": str(settings.idempotent),
            "OUZEL_TRAINER": "elected",
            "OUZEL_LOG_FORMAT": "text",
            "NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }
        command = module_command("serving.cli", *arguments)
        return self._stack.enter_context(Child(name, command, self._folder / f"{name}.log", environment))

    def _feed(self) -> tuple[str, list[str]]:
        """Return the name of the source of events, and the arguments of its command."""
        data, rate, events = self._options.data, self._options.rate, self._options.events
        if not data:
            return "simulator", ["simulate", "--rate", f"{rate:g}", *(["--events", str(events)] if events else [])]
        pace = ["--rate", f"{rate:g}"] if rate else ["--speed", "max"]
        return "replay", ["replay", *pace, *(["--limit", str(events)] if events else []), "--", *map(str, data)]


def _check(child: Child, *, ended_well: bool) -> None:
    code = child.returncode
    if code is None or (ended_well and code == 0):
        return
    *_, last = child.tail(1).splitlines() or [""]
    if code == Refused.exit_code and last.startswith(SAYS):  # what a person has to change is one line
        raise Refused(last.removeprefix(SAYS))
    raise DemoError(f"{child.name} ended with exit status {code}. The end of its log:", *child.tail().splitlines())


def _answers(url: str) -> bool:
    """Tell whether a GET request to this URL is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except OSError:
        return False
