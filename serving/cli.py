"""The command `ouzel`. Errors are one line, without a traceback."""

from __future__ import annotations

import importlib
import signal
import sys
from types import FrameType

import typer
from kafka.errors import KafkaError

from serving.commands import CliError
from serving.demo.brokers import BrokerError
from streams.kafka.connection import NoBroker
from streams.kafka.topics import TopicsError
from streams.settings import SettingsError

COMMANDS = (
    "config",
    "topics",
    "worker",
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


def build() -> typer.Typer:
    """The app with every command."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
    for name in COMMANDS:
        importlib.import_module(f"serving.commands.{name}").register(app)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run `ouzel`, by default with the process's arguments. What runs long and knows nothing of SIGTERM takes it for a Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        build()(arguments)
    except CliError as error:
        code, message = error.code, str(error)
    except SettingsError as error:
        code, message = 2, str(error)
    except (NoBroker, TopicsError, BrokerError) as error:
        code, message = 1, str(error)
    except KafkaError as error:
        code, message = 1, f"Kafka: {error!r}"
    sys.stderr.write(f"ouzel: {message}\n")
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
