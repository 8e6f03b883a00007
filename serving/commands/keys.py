"""`ouzel keys create|list|revoke`: the API keys of `ouzel serve`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serving.commands import CliError
from serving.state.keys import SCOPES, Key, KeysError, new_key, read_keys, write_keys
from streams.settings import load_settings

keys = typer.Typer(no_args_is_help=True, help="The API keys of `ouzel serve`, in the file that OUZEL_SERVE_KEYS names.")


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")


@keys.command()
def create(
    scope: Annotated[list[str], typer.Option(help="read, events or admin; may be repeated.")],
    name: Annotated[str, typer.Option(help="Whose it is, for `ouzel keys list`.")] = "",
) -> None:
    """Make a key and print it. It is shown this once: only its hash is kept."""
    unknown = [one for one in scope if one not in SCOPES]
    if unknown:
        raise CliError(f"no scope {unknown[0]!r}: there are {', '.join(SCOPES)}")
    path = _path()
    kept = _read(path) if path.exists() else []
    text, key = new_key(name, [one for one in SCOPES if one in scope], int(time.time() * 1000))
    _write(path, [*kept, key])
    typer.echo(f"{path}: key {key.id} for {', '.join(key.scopes)}; it is shown this once", err=True)
    typer.echo(text)


@keys.command("list")
def list_() -> None:
    """Print what is known of each key."""
    table = Table("id", "name", "scopes", "made")
    for key in _read(_path()):
        made = datetime.fromtimestamp(key.created_at / 1000, UTC).isoformat(timespec="seconds")
        table.add_row(key.id, key.name, ", ".join(key.scopes), made)
    Console().print(table)


@keys.command()
def revoke(id_: Annotated[str, typer.Argument(metavar="ID", help="As `ouzel keys list` tells it.")]) -> None:
    """End a key. Running servers notice within seconds."""
    path = _path()
    kept = _read(path)
    left = [key for key in kept if key.id != id_]
    if len(left) == len(kept):
        raise CliError(f"{path}: no key {id_}")
    _write(path, left)
    typer.echo(f"{path}: {id_} is revoked")


def _path() -> Path:
    path = load_settings().serve_keys
    if path is None:
        raise CliError("serve_keys: name the file of keys in OUZEL_SERVE_KEYS")
    return path


def _read(path: Path) -> list[Key]:
    try:
        return read_keys(path)
    except KeysError as error:
        raise CliError(str(error)) from error


def _write(path: Path, kept: list[Key]) -> None:
    try:
        write_keys(path, kept)
    except KeysError as error:
        raise CliError(str(error), 1) from error
