"""The command `ouzel`. It prints an error as one line, without a traceback."""

from __future__ import annotations

import importlib
import io
import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Annotated

import structlog
import typer
from aiokafka.errors import KafkaError as AiokafkaError
from kafka.errors import KafkaError

from serving.usage import HELP_SHOWN, usage_line
from streams.errors import KafkaAway, OuzelError
from streams.kafka.connection import in_one_line

NAME = "ouzel"
COMMANDS = (
    "config",
    "topics",
    "worker",
    "intake",
    "serve",
    "keys",
    "replay",
    "simulate",
    "watch",
    "dead_letters",
    "reset",
    "demo",
    "evaluate",
    "warmup",
    "train",
    "model",
)
HELP = """Ouzel: real-time recommendations from a stream of user behaviour.

Start with `ouzel demo`.

With your own Kafka, run `ouzel topics create`, `ouzel worker` and `ouzel serve`.

Settings are environment variables with the prefix OUZEL_. `ouzel config` prints all of them.
"""


def build() -> typer.Typer:
    """Return the app with every command."""
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback(help=HELP)(_options)
    for name in COMMANDS:
        importlib.import_module(f"serving.commands.{name}").register(app)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run `ouzel` with these arguments; by default with those of the process.

    SIGTERM interrupts a command as Ctrl-C does, unless the command handles SIGTERM itself.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may not have every letter of a name
            stream.reconfigure(errors="backslashreplace")
    # stdout is for what the command prints
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        ended = build()(arguments, prog_name=NAME, standalone_mode=False)
        sys.exit(ended if isinstance(ended, int) else 0)  # a command that has nothing to say returns None
    except OuzelError as error:
        code, message = error.exit_code, str(error)
    except (KafkaError, AiokafkaError) as error:
        code, message = KafkaAway.exit_code, f"Kafka: {in_one_line(error)}"
    except typer.Abort:
        code, message = 1, "not confirmed, so nothing was done"
    except typer.TyperException as error:
        code, message = error.exit_code, usage_line(error)
    if message is not HELP_SHOWN:
        sys.stderr.write(f"{NAME}: {message}\n")
    sys.exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options of `ouzel` itself, which print something and exit."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
