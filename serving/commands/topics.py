"""`ouzel topics create|check|describe|grow`: manages Ouzel's topics."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serving.groups import refuse_while_live
from streams.errors import Refused
from streams.kafka.partitions import grow_topics
from streams.kafka.topic_checks import compressed, losses, topic_problems, unchecked
from streams.kafka.topics import as_described, create_topics, describe_topics, topic_specs
from streams.settings import load_settings

SHOWN = ("cleanup.policy", "retention.ms", "min.compaction.lag.ms", "max.message.bytes", "compression.type")

topics = typer.Typer(no_args_is_help=True, help="Create, check and describe Ouzel's topics.")


def register(app: typer.Typer) -> None:
    app.add_typer(topics, name="topics")


@topics.command()
def create() -> None:
    """Create the topics that are missing, then check all of them, as `ouzel topics check` does."""
    settings = load_settings()
    for name in create_topics(settings):
        typer.echo(f"created {name}")
    check()


@topics.command()
def check() -> None:
    """Compare the topics with what Ouzel needs. Exit with code 2 if one is missing or differs."""
    settings = load_settings()
    states = describe_topics(settings)
    settings = as_described(settings, states)
    notes = [note for spec in topic_specs(settings) for note in unchecked(spec, states[spec.name])]
    for note in (*notes, *(note for spec in topic_specs(settings) for note in compressed(spec, states[spec.name]))):
        typer.echo(note)
    for warning in losses(settings, states):
        typer.echo(warning)
    if problems := topic_problems(settings, states):
        raise Refused("\n".join(problems))
    typer.echo("all topics are as Ouzel needs them" + (", as far as this broker reports them" if notes else ""))


@topics.command()
def describe() -> None:
    """Print the partitions and the options of each topic."""
    table = Table("topic", "partitions", "configuration")
    for name, state in describe_topics(load_settings()).items():
        if state is None:
            table.add_row(name, "missing", "")
            continue
        config = state.config or {}
        text = "\n".join(f"{key}={config[key]}" for key in SHOWN if key in config) or "not reported by this broker"
        table.add_row(name, str(state.partitions), text)
    Console().print(table)


@topics.command()
def grow(
    partitions: Annotated[
        int, typer.Option(min=1, max=1000, metavar="COUNT", help="The number of partitions that the topics will have.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Add partitions to the topics that must have equal numbers of them.

    Stop the workers and servers first, and start them with the new OUZEL_PARTITIONS.
    Ouzel adds none to a topic of yours (OUZEL_EVENTS_TOPIC): add them to it first.
    The sessions of users whose key belongs to another partition then begin new.
    """
    settings = load_settings()
    refuse_while_live(settings)
    if not yes:
        typer.confirm(f"Raise the topics to {partitions} partitions? Kafka cannot remove partitions.", abort=True)
    grown = grow_topics(settings, partitions)
    for name, before in grown.items():
        typer.echo(f"{name}: {before} partitions before, {partitions} now")
    if not grown:
        typer.echo(f"the topics have {partitions} partitions already")
    how = "without OUZEL_PARTITIONS" if settings.is_provided("events") else f"with OUZEL_PARTITIONS={partitions}"
    typer.echo(f"now start every worker, server and tool {how}")
