"""`ouzel simulate`: a synthetic shop's items and events."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from serving.commands import CliError
from serving.demo.stopping import stop_signals
from streams.kafka.producing import DeliveryError, Sender
from streams.kafka.topics import require_topics
from streams.settings import load_settings
from streams.tools.replay import Pace
from streams.tools.simulator import Product, Shop

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(
    events: Annotated[int | None, typer.Option(min=1, help="How many; without end if not said.")] = None,
    rate: Annotated[float, typer.Option(min=0, help="Events per second; 0: as fast as it goes.")] = 100.0,
    users: Annotated[int, typer.Option(min=1, max=1_000_000)] = 500,
    items: Annotated[int, typer.Option(min=20, max=1_000_000)] = 600,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    shift_at: Annotated[float | None, typer.Option(min=0, max=1, help="Share of the events at which tastes shift.")] = None,
) -> None:
    """Produce the behaviour of shoppers in a shop of named items."""
    if shift_at is not None and events is None:
        raise CliError("--shift-at needs --events")
    settings = load_settings()
    require_topics(settings, "events", "items")
    start = int(time.time() * 1000)
    shop = Shop(seed=seed, users=users, items=items, events=events, start_ms=start, shift_at=shift_at)
    pace, sent = Pace(time.monotonic, rate or None), 0
    try:
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
                    sender.send(settings.topic("events"), happening["user_id"].encode(), json.dumps(happening).encode())
                    sent += 1
            finally:
                sender.flush()
    except DeliveryError as error:
        raise CliError(str(error), 1) from error
    if stop.is_set():
        typer.echo(f"stopped after {sent} events", err=True)
        raise typer.Exit(INTERRUPTED)
    typer.echo(f"simulated {sent} events")


def _announce(sender: Sender, topic: str, product: Product) -> None:
    sender.send(topic, product.item_id.encode(), json.dumps(product.record()).encode())
