"""`ouzel topics create|check|describe|grow`: manages Ouzel's topics."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.groups import refuse_while_live
from serving.options import Broker, Json, settings_with
from serving.outputs import print_json
from serving.tables import Cell, print_table
from serving.terminal import confirm, say
from streams.errors import Refused
from streams.kafka.partitions import grow_topics
from streams.kafka.topic_checks import compressed, losses, topic_problems, unchecked
from streams.kafka.topics import TopicState, as_described, create_topics, describe_topics, topic_specs

SHOWN = ("cleanup.policy", "retention.ms", "min.compaction.lag.ms", "max.message.bytes", "compression.type")

topics = typer.Typer(no_args_is_help=True, help="Create, check and describe Ouzel's topics.")


def register(app: typer.Typer) -> None:
    app.add_typer(topics, name="topics")


@topics.command()
def create(broker: Broker = None) -> None:
    """Create the topics that are missing, then check all of them, as `ouzel topics check` does."""
    settings = settings_with(broker)
    for name in create_topics(settings):
        say(f"created {name}")
    check(broker)


@topics.command()
def check(broker: Broker = None, json: Json = False) -> None:
    """Compare the topics with what Ouzel needs. Exit with code 2 if one is missing or differs."""
    settings = settings_with(broker)
    states = describe_topics(settings)
    settings = as_described(settings, states)
    specs, problems = topic_specs(settings), topic_problems(settings, states)
    notes = [note for spec in specs for note in unchecked(spec, states[spec.name])]
    advice = [note for spec in specs for note in compressed(spec, states[spec.name])] + losses(settings, states)
    if json:
        print_json({"as_needed": not problems, "problems": problems, "notes": notes + advice})
    for note in () if json else notes + advice:
        say(note)
    if problems:
        raise Refused(*problems)
    if not json:
        say("all topics are as Ouzel needs them" + (", as far as this broker reports them" if notes else ""))


@topics.command()
def describe(broker: Broker = None, json: Json = False) -> None:
    """Print the partitions and the options of each topic."""
    states = describe_topics(settings_with(broker))
    if json:
        print_json({name: state and {"partitions": state.partitions, "config": state.config} for name, state in states.items()})
        return
    print_table(("topic", "partitions", "configuration"), [_row(name, state) for name, state in states.items()])


def _row(name: str, state: TopicState | None) -> tuple[str, str, Cell]:
    if state is None:
        return name, "missing", ""
    config = state.config or {}
    options = [f"{key}={config[key]}" for key in SHOWN if key in config]
    return name, str(state.partitions), options or "not reported by this broker"


@topics.command()
def grow(
    partitions: Annotated[
        int, typer.Option(min=1, max=1000, metavar="COUNT", help="The number of partitions that the topics will have.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    broker: Broker = None,
) -> None:
    """Add partitions to the topics that must have equal numbers of them.

    Stop the workers and servers first, and start them with the new OUZEL_PARTITIONS.
    Ouzel adds none to a topic of yours (OUZEL_EVENTS_TOPIC): add them to it first.
    The sessions of users whose key belongs to another partition then begin new.
    """
    settings = settings_with(broker)
    refuse_while_live(settings)
    if not yes:
        confirm(f"Raise the topics to {partitions} partitions? Kafka cannot remove partitions.")
    grown = grow_topics(settings, partitions)
    for name, before in grown.items():
        say(f"{name}: {before} partitions before, {partitions} now")
    if not grown:
        say(f"the topics have {partitions} partitions already")
    how = "without OUZEL_PARTITIONS" if settings.is_provided("events") else f"with OUZEL_PARTITIONS={partitions}"
    say(f"now start every worker, server and tool {how}")
