"""Reads and writes model files, for `ouzel train` and `ouzel model`.

A model file is one snapshot in the safetensors format. Its header names the model and its options.
Ouzel never pickles a model.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from models.layout import largest_snapshot
from models.recommender import Recommender
from models.snapshot import START, SnapshotHeader, config_of
from streams.errors import Refused
from streams.learning.model import new_model
from streams.learning.model_log import MAX_BYTES, SnapshotRefused
from streams.learning.restoring import check_start, read_header, restore
from streams.settings import Settings


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically: after a crash, the path has either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_model(settings: Settings, path: Path) -> Recommender:
    """Return the model in a file.

    Raises `Refused` if the file cannot be read, is damaged, is not a snapshot, or has a different
    model from the one in the settings.
    """
    wanted = (settings.model, config_of(new_model(settings)))

    def check(header: SnapshotHeader) -> None:
        if (header.model, header.config) != wanted:
            raise Refused(
                f"{path} holds {header.model} {_options(header.config)}; the settings ask for {wanted[0]} {_options(wanted[1])}. "
                "Change OUZEL_MODEL, OUZEL_ENCODER, OUZEL_PROFILE, OUZEL_MAX_ITEMS or OUZEL_SEED to match the file"
            )

    return read_file(path, largest_snapshot(settings.max_items), check).model


class ModelFile(NamedTuple):
    """A model that was read from a file, with the header and the size of the file in bytes."""

    header: SnapshotHeader
    model: Recommender
    size: int


def read_file(path: Path, largest: int = MAX_BYTES, check: Callable[[SnapshotHeader], object] | None = None) -> ModelFile:
    """Read a model of any settings from a file of at most ``largest`` bytes.

    Only the header is read before it is known to be that of a model, and before ``check`` is called
    with it. Raises `Refused` if the file cannot be read or is not a snapshot.
    """
    try:
        described = path.stat()  # opening a pipe would wait for its writer
        if not (stat.S_ISREG(described.st_mode) or stat.S_ISDIR(described.st_mode)):
            raise Refused(f"{path} is not a file: name a model file")
        with path.open("rb") as file:
            start = file.read(START)
            header = read_header(start)
            if check is not None:
                check(header)
            if described.st_size > largest:
                raise Refused(f"{path} has {described.st_size} bytes: a model of its options has at most {largest}")
            check_start(start, described.st_size)
            data = start + file.read(described.st_size - len(start))
        return ModelFile(header, restore(data), len(data))
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except SnapshotRefused as error:
        raise Refused(
            f"{path} is not a usable model file: {error.detail}; `ouzel train` and `ouzel model export` write such files"
        ) from error


def _options(config: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in config.items())
