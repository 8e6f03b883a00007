"""`ouzel keys create|list|revoke`: manages the API keys of `ouzel serve`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from serving.errors import CliError
from serving.key_file import SCOPES, Key, KeysNotWritten, changing_keys, new_key, read_keys
from serving.options import Json
from serving.outputs import print_json
from serving.tables import print_table
from serving.terminal import say
from streams.errors import Refused
from streams.settings import load_settings

keys = typer.Typer(
    no_args_is_help=True, help="Create, list and revoke the API keys of `ouzel serve`, in the file OUZEL_SERVE_KEYS."
)


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")


@keys.command()
def create(
    scope: Annotated[
        list[str], typer.Option(metavar="read|events|admin", help="What the key allows; repeat it for several scopes.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="A name for who uses the key; `ouzel keys list` prints it.")] = "",
) -> None:
    """Create a key and print it. It is printed only once: the file stores its hash."""
    unknown = [one for one in scope if one not in SCOPES]
    if unknown:
        raise Refused(f"--scope: {unknown[0]!r} is not a scope; the scopes are {', '.join(SCOPES)}")
    if name.encode(errors="ignore").decode() != name:
        raise Refused(f"--name: {name!r} has bytes that are not UTF-8; use a name in UTF-8")
    path = _path()
    text, key = new_key(name, [one for one in SCOPES if one in scope], int(time.time() * 1000))
    with _changing(path) as kept:
        kept.append(key)
    say(f"{path}: key {key.id} for {', '.join(key.scopes)}. Copy the key now: it will not be printed again", err=True)
    say(text)


@keys.command("list")
def list_(json: Json = False) -> None:
    """Print the id, name, scopes and creation time (UTC) of each key."""
    path = _path()
    _check_exists(path)
    kept = read_keys(path)
    if json:
        print_json([{"id": key.id, "name": key.name, "scopes": key.scopes, "created": _created(key)} for key in kept])
        return
    print_table(("id", "name", "scopes", "created"), [(key.id, key.name, ", ".join(key.scopes), _created(key)) for key in kept])


@keys.command()
def revoke(id_: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `ouzel keys list` prints it.")]) -> None:
    """Revoke a key. Running servers stop accepting it within seconds."""
    path = _path()
    _check_exists(path)
    with _changing(path) as kept:
        left = [key for key in kept if key.id != id_]
        if len(left) == len(kept):
            raise Refused(f"{path}: there is no key {id_}; `ouzel keys list` prints the ids")
        kept[:] = left
    say(f"{path}: key {id_} is revoked")


def _created(key: Key) -> str:
    return datetime.fromtimestamp(key.created_at / 1000, UTC).isoformat(timespec="seconds")


def _path() -> Path:
    path = load_settings().serve_keys
    if path is None:
        raise Refused("OUZEL_SERVE_KEYS is not set: set it to the path of the file of API keys, such as keys.json")
    return path


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise Refused(f"OUZEL_SERVE_KEYS: there is no file {path}; `ouzel keys create` creates it")


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    try:
        with changing_keys(path) as kept:
            yield kept
    except KeysNotWritten as error:
        raise CliError(f"OUZEL_SERVE_KEYS: {error}; name a file in an existing folder that you may write to") from error
