"""`ouzel intake`: writes the events of other topics to the events topic, keyed by user."""

from __future__ import annotations

import typer

from streams.errors import Refused
from streams.intake.sources import sources_of
from streams.intake_settings import EXAMPLE
from streams.observing.logs import set_up
from streams.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command("intake")(intake)


def intake() -> None:
    """Write the events of other topics to the events topic, keyed by user.

    OUZEL_INTAKE names the topics, whatever their keys are, and says how to read each.
    Run it beside the workers until SIGTERM or Ctrl-C, in as many copies as you like.
    """
    settings = load_settings()
    if not settings.intake:
        raise Refused(f"OUZEL_INTAKE: names no topic. Set it to the topics that hold your events, such as {EXAMPLE.strip('`')}")
    sources = sources_of(settings)
    set_up(settings)
    from streams.intake.process import run_intake  # noqa: PLC0415  Faust takes seconds to import

    raise typer.Exit(run_intake(settings, sources))
