"""`ouzel simulate`: sends the items and events of a simulated shop."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from serving.demo.stopping import stop_signals
from serving.options import Broker, settings_with
from serving.terminal import say
from streams.errors import Refused
from streams.events.decode import CANONICAL
from streams.kafka.producing import Sender
from streams.kafka.topics import require_topics
from streams.tools.pace import Pace
from streams.tools.simulator import Product, Shop

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(
    events: Annotated[
        int | None, typer.Option(min=1, metavar="EVENTS", help="Stop after EVENTS events; without it, run until Ctrl-C.")
    ] = None,
    rate: Annotated[float, typer.Option(min=0, metavar="EVENTS/S", help="Events per second; 0 is as fast as possible.")] = 100.0,
    users: Annotated[int, typer.Option(min=1, max=1_000_000, metavar="USERS", help="Number of shoppers.")] = 500,
    items: Annotated[int, typer.Option(min=20, max=1_000_000, metavar="ITEMS", help="Number of items in the shop.")] = 600,
    seed: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Seed of the random numbers: the same seed makes the same events.")
    ] = 0,
    shift_at: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="SHARE", help="Change what shoppers like after this share of --events, such as 0.5."),
    ] = None,
    broker: Broker = None,
) -> None:
    """Send the items of a simulated shop, and the events of its shoppers."""
    if shift_at is not None and events is None:
        raise Refused("--shift-at is a share of the events: give their number with --events")
    settings = settings_with(broker)
    require_topics(settings, "events", "items")
    start = int(time.time() * 1000)
    shop = Shop(seed=seed, users=users, items=items, events=events, start_ms=start, shift_at=shift_at)
    pace, sent = Pace(time.monotonic, rate or None), 0
    with stop_signals() as stop, Sender(settings) as sender:
        for product in shop.opening():
            _announce(sender, settings.topic("items"), product)
        sender.flush()
        try:
            for happening in shop.run(1000 / (rate or 100)):
                if isinstance(happening, Product):
                    _announce(sender, settings.topic("items"), happening)
                    continue
                if stop.wait(pace.wait(happening["timestamp"])):
                    break
                value = json.dumps(happening).encode()
                sender.send(settings.topic("events"), happening["user_id"].encode(), value, headers=[CANONICAL])
                sent += 1
        finally:
            sender.flush()
    if stop.is_set():
        say(f"stopped after {sent} events", err=True)
        raise typer.Exit(INTERRUPTED)
    say(f"simulated {sent} events")


def _announce(sender: Sender, topic: str, product: Product) -> None:
    sender.send(topic, product.item_id.encode(), json.dumps(product.record()).encode())
