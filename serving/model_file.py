"""Models in files: a snapshot is one safetensors file whose header says what it is. Never pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from models.recommender import Recommender
from models.snapshot import SnapshotError, config_of, read_header, restore
from serving.commands import CliError
from streams.learning.model import new_model
from streams.settings import Settings


def write_whole(path: Path, data: bytes) -> None:
    """Write, fsync, rename: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_model(settings: Settings, path: Path) -> Recommender:
    """The model in a file. Raises `CliError` where it is none, is damaged, or is not the one that the settings ask for."""
    try:
        data = path.read_bytes()
        told = read_header(data)
        wanted = (settings.model, config_of(new_model(settings)))
        if (told.model, told.config) != wanted:
            raise CliError(
                f"{path} holds {told.model} {_options(told.config)}; the settings ask for {wanted[0]} {_options(wanted[1])}"
            )
        return restore(data)
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}") from error
    except SnapshotError as error:
        raise CliError(f"{path}: {error}") from error


def _options(config: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in config.items())
