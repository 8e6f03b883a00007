"""`ouzel config`: prints each setting, where its value comes from, and what it means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from serving.options import Json
from serving.outputs import print_json
from serving.settings_reference import by_subject, written
from serving.terminal import say, terminal
from streams.configuration.fields import CONFIG_VARIABLE
from streams.printable import printable
from streams.settings import Settings, load_settings, sources

WIDE = 120
"""On terminals with at least this many columns, each meaning is beside its value, not below it."""
LONGEST = 40
"""The most columns for a value that is beside its meaning. A longer value is folded."""


def register(app: typer.Typer) -> None:
    app.command("config")(config)


def config(json: Json = False) -> None:
    """Print every setting: its value, where the value comes from, and what it means.

    A value comes from the environment (OUZEL_PARTITIONS sets partitions),
    from the TOML file that OUZEL_CONFIG names, or is the default.
    Secrets are masked. docs/settings.md lists the values allowed.
    """
    settings = load_settings()
    came_from = sources(settings)
    if json:
        values = {name: shown(getattr(settings, name)) for fields in by_subject().values() for name in fields}
        print_json({name: {"value": values[name], "source": came_from[name]} for name in values})
        return
    if path := os.environ.get(CONFIG_VARIABLE):
        say(f"file: {path}")
    console = terminal()
    console.print((_wide if console.width >= WIDE else _narrow)(settings, came_from))


def shown(value: Any) -> Any:
    """Return a value in a form that JSON can encode, with a secret masked."""
    if isinstance(value, SecretStr):
        return "******"
    return value if value is None or isinstance(value, bool | int | float | dict) else str(value)


def _wide(settings: Settings, came_from: Mapping[str, str]) -> Table:
    """Build the table for wide terminals: one line for each setting."""
    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[1].max_width, table.columns[1].overflow = LONGEST, "fold"
    for subject, fields in by_subject().items():
        table.add_row()
        table.add_row(Text(subject, "bold"))
        for name, field in fields.items():
            value = printable(written(getattr(settings, name)))
            table.add_row(name, Text(value), printable(came_from[name]), Text(str(field.description)))
    return table


def _narrow(settings: Settings, came_from: Mapping[str, str]) -> Table:
    """Build the table for narrow terminals: each meaning is below its value."""
    table = Table("setting", "value (from) and meaning", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for subject, fields in by_subject().items():
        table.add_row()
        table.add_row(Text(subject, "bold"))
        for name, field in fields.items():
            value = printable(f"{written(getattr(settings, name))} ({came_from[name]})")
            table.add_row(name, Text.assemble(value, "\n", (str(field.description), "dim")))
    return table
