"""`ouzel config`: what is in force, and where it came from."""

from __future__ import annotations

import json
import os
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from streams.settings import CONFIG_VARIABLE, load_settings, sources


def register(app: typer.Typer) -> None:
    app.command("config")(config)


def config(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print every setting in force and where it came from. Secrets are masked."""
    settings = load_settings()
    came_from = sources(settings)
    values = {name: shown(getattr(settings, name)) for name in type(settings).model_fields}
    if as_json:
        typer.echo(json.dumps({name: {"value": values[name], "source": came_from[name]} for name in values}, indent=1))
        return
    if path := os.environ.get(CONFIG_VARIABLE):
        typer.echo(f"file: {path}")
    table = Table("setting", "value", "from")
    for name, value in values.items():
        table.add_row(name, "" if value is None else str(value), came_from[name])
    Console().print(table)


def shown(value: Any) -> Any:
    """A setting as it may be printed."""
    if isinstance(value, SecretStr):
        return "******"
    return value if value is None or isinstance(value, bool | int | float | dict) else str(value)
