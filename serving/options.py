"""Options that several commands of `ouzel` share, and the settings that they give."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.configuration.kafka import addresses
from streams.errors import Refused
from streams.settings import Settings, load_settings

Broker = Annotated[
    str | None,
    typer.Option("--broker", metavar="HOST:PORT", help="Kafka brokers, separated by commas. Default: OUZEL_BROKER."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output, and everything else to standard error.")]


def settings_with(broker: str | None) -> Settings:
    """Return the settings, with the brokers of ``--broker`` if the option is given.

    Raises `Refused` for a wrong address, and `SettingsError` for a wrong setting.
    """
    return load_settings(None if broker is None else checked_broker(broker))


def checked_broker(broker: str) -> str:
    """Return the value of ``--broker``. Raises `Refused` if it is not a list of addresses."""
    try:
        addresses(broker, None)
    except ValueError as error:
        raise Refused(f"--broker: {error}; an example is --broker localhost:9092") from None
    return broker
