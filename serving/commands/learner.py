"""`ouzel learner`: trains the model in a process of its own, beside workers that do not."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.commands.worker import supervised
from serving.options import Broker, settings_with
from streams.child_command import module_command
from streams.errors import Refused
from streams.observing.logs import set_up


def register(app: typer.Typer) -> None:
    app.command("learner")(learner)


def learner(
    supervise: Annotated[
        bool,
        typer.Option("--supervise", help="Run the learner as a child process, and restart it after every exit code but 0 and 2."),
    ] = False,
    broker: Broker = None,
) -> None:
    """Train the model of workers that have OUZEL_TRAINER=separate.

    Run it until SIGTERM or Ctrl-C. Of several copies, one trains and the others stand by.
    """
    settings = settings_with(broker)
    if settings.trainer != "separate":
        raise Refused(
            f"OUZEL_TRAINER: {settings.trainer} means that a worker trains the model. Set it to separate, for every worker, too"
        )
    if settings.model == "null":
        raise Refused("OUZEL_MODEL: the model null learns nothing; the default is hybrid")
    set_up(settings)
    if supervise:
        option = [] if broker is None else ["--broker", broker]
        raise typer.Exit(supervised(module_command("serving.cli", "learner", *option)))
    from streams.training.alone import run_learner  # noqa: PLC0415  aiokafka and Faust take seconds to import

    raise typer.Exit(run_learner(settings))
