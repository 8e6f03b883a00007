"""`ouzel intake`: writes the events of other topics to the events topic, keyed by user."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.commands.worker import supervised
from serving.options import Broker, settings_with
from streams.child_command import module_command
from streams.configuration.intake import EXAMPLE
from streams.errors import Refused
from streams.intake.sources import sources_of
from streams.observing.logs import set_up


def register(app: typer.Typer) -> None:
    app.command("intake")(intake)


def intake(
    supervise: Annotated[
        bool,
        typer.Option("--supervise", help="Run the intake as a child process, and restart it after every exit code but 0 and 2."),
    ] = False,
    broker: Broker = None,
) -> None:
    """Write the events of other topics to the events topic, keyed by user.

    OUZEL_INTAKE names the topics, whatever their keys are, and says how to read each.
    Run it beside the workers until SIGTERM or Ctrl-C, in as many copies as you like.
    """
    settings = settings_with(broker)
    if not settings.intake:
        raise Refused(f"OUZEL_INTAKE: names no topic. Set it to the topics that hold your events, such as {EXAMPLE.strip('`')}")
    sources = sources_of(settings)
    set_up(settings)
    if supervise:
        option = [] if broker is None else ["--broker", broker]
        raise typer.Exit(supervised(module_command("serving.cli", "intake", *option)))
    from streams.intake.process import run_intake  # noqa: PLC0415  Faust takes seconds to import

    raise typer.Exit(run_intake(settings, sources))
