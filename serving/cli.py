"""The command `ouzel`. It prints an error as one line, without a traceback."""

from __future__ import annotations

import importlib
import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Annotated

import typer
from aiokafka.errors import KafkaError as AiokafkaError
from kafka.errors import KafkaError

from serving.terminal import escape_everywhere, say, say_traceback
from serving.usage import HELP_SHOWN, usage_line
from streams.errors import KafkaAway, OuzelError
from streams.kafka.connection import in_one_line
from streams.observing.logs import log_to_stderr

NAME = "ouzel"
COMMANDS = (
    "config",
    "topics",
    "worker",
    "learner",
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
    escape_everywhere()
    log_to_stderr()
    try:
        ended = build()(arguments, prog_name=NAME, standalone_mode=False)
        sys.exit(ended if isinstance(ended, int) else 0)  # a command that has nothing to say returns None
    except OuzelError as error:
        code, message = error.exit_code, error.lines
    except (KafkaError, AiokafkaError) as error:
        code, message = KafkaAway.exit_code, [f"Kafka: {in_one_line(error)}"]
    except typer.Abort:
        code, message = 1, ["not confirmed, so nothing was done"]
    except typer.TyperException as error:
        line = usage_line(error)
        code, message = error.exit_code, [] if line is HELP_SHOWN else [line]
    except Exception:  # a bug: its traceback may quote values
        sys.excepthook = say_traceback
        raise
    if message:
        first, *others = message
        say(f"{NAME}: {first}", *others, err=True)
    sys.exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"{NAME} {version(NAME)}")
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
