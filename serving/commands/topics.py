"""`ouzel topics create|check|describe`."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from serving.commands import CliError
from streams.kafka.topics import create_topics, describe_topics, topic_problems, topic_specs, untold
from streams.settings import load_settings

topics = typer.Typer(no_args_is_help=True, help="Make, check and describe Ouzel's topics.")


def register(app: typer.Typer) -> None:
    app.add_typer(topics, name="topics")


@topics.command()
def create() -> None:
    """Make the topics that are missing, and tell where existing ones differ from what they must be."""
    settings = load_settings()
    for name in create_topics(settings):
        typer.echo(f"made {name}")
    check()


@topics.command()
def check() -> None:
    """Compare the topics with what they must be; exit 2 where they differ."""
    settings = load_settings()
    states = describe_topics(settings)
    notes = [note for spec in topic_specs(settings) for note in untold(spec, states[spec.name])]
    for note in notes:
        typer.echo(note)
    if problems := topic_problems(settings, states):
        raise CliError("\n".join(problems))
    typer.echo("all topics are as they must be" + (", as far as this broker tells" if notes else ""))


@topics.command()
def describe() -> None:
    """Print what each topic is."""
    table = Table("topic", "partitions", "configuration")
    for name, state in describe_topics(load_settings()).items():
        if state is None:
            table.add_row(name, "missing", "")
            continue
        keys = ("cleanup.policy", "retention.ms", "min.compaction.lag.ms", "max.message.bytes")
        told = state.config or {}
        text = "\n".join(f"{key}={told[key]}" for key in keys if key in told) or "not told by this broker"
        table.add_row(name, str(state.partitions), text)
    Console().print(table)
