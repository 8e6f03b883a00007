"""The command `ouzel`. It prints an error as one line, without a traceback."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

import structlog
import typer
from aiokafka.errors import KafkaError as AiokafkaError
from kafka.errors import KafkaError

from streams.errors import KafkaAway, OuzelError

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
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=HELP)
    for name in COMMANDS:
        importlib.import_module(f"serving.commands.{name}").register(app)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run `ouzel` with these arguments; by default with those of the process.

    SIGTERM interrupts a command as Ctrl-C does, unless the command handles SIGTERM itself.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # stdout is for what the command prints
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        build()(arguments)
    except OuzelError as error:
        code, message = error.exit_code, str(error)
    except (KafkaError, AiokafkaError) as error:
        code, message = KafkaAway.exit_code, f"Kafka: {error!r}"
    sys.stderr.write(f"ouzel: {message}\n")
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
