"""`ouzel worker`: processes events; with `--supervise`, restarts after a failure."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Annotated

import structlog
import typer

from serving.options import Broker, settings_with
from streams.child_command import module_command
from streams.errors import OK, Refused
from streams.observing.logs import set_up

log = structlog.get_logger(__name__)

RESTART_AFTER_S = (0.2, 1.0, 5.0)
HEALTHY_S = 60.0
FINAL = (OK, Refused.exit_code)
"""Exit codes after which the supervisor does not restart the worker."""


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    supervise: Annotated[
        bool,
        typer.Option("--supervise", help="Run the worker as a child process, and restart it after every exit code but 0 and 2."),
    ] = False,
    broker: Broker = None,
) -> None:
    """Process events until SIGTERM or Ctrl-C.

    Start as many workers as you like, each with its own OUZEL_DATA_DIR.
    """
    settings = settings_with(broker)
    set_up(settings)
    if supervise:
        option = [] if broker is None else ["--broker", broker]
        raise typer.Exit(supervised(module_command("serving.cli", "worker", *option)))
    from streams.worker import run_worker  # noqa: PLC0415  Faust and torch take seconds to import

    raise typer.Exit(run_worker(settings))


def supervised(command: list[str]) -> int:
    """Run a command and restart it whenever it fails. Return its last exit code.

    SIGTERM and SIGINT are passed on to the command as SIGTERM, and end the restarts.
    """
    failures, stopping = 0, False
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, _: object) -> None:
        nonlocal stopping
        stopping = True
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while True:
        began = time.monotonic()
        child = subprocess.Popen(command, start_new_session=True)
        if stopping:  # the signal came before there was a child to pass it to
            child.send_signal(signal.SIGTERM)
        code = child.wait()
        if stopping or code in FINAL:
            return code
        failures = 0 if time.monotonic() - began > HEALTHY_S else failures + 1
        pause = RESTART_AFTER_S[min(failures, len(RESTART_AFTER_S)) - 1] if failures else 0.0
        log.warning("worker_ended", code=code, failures=failures, again_in_s=pause)
        time.sleep(pause)
        if stopping:
            return code
