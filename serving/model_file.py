"""Reads and writes model files, for `ouzel train` and `ouzel model`.

A model file is one snapshot in the safetensors format. Its header names the model and its options.
Ouzel never pickles a model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from models.recommender import Recommender
from models.snapshot import config_of
from streams.errors import Refused
from streams.learning.model import new_model
from streams.learning.model_log import SnapshotRefused
from streams.learning.restoring import read_header, restore
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
    try:
        data = path.read_bytes()
        header = read_header(data)
        wanted = (settings.model, config_of(new_model(settings)))
        if (header.model, header.config) != wanted:
            raise Refused(
                f"{path} holds {header.model} {_options(header.config)}; the settings ask for {wanted[0]} {_options(wanted[1])}. "
                "Change OUZEL_MODEL, OUZEL_ENCODER, OUZEL_PROFILE, OUZEL_MAX_ITEMS or OUZEL_SEED to match the file"
            )
        return restore(data)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    except SnapshotRefused as error:
        raise Refused(not_a_model(path, error)) from error


def not_a_model(path: Path, error: SnapshotRefused) -> str:
    """Return the error message for a file from which no model can be read."""
    return f"{path} is not a usable model file: {error.detail}; `ouzel train` and `ouzel model export` write such files"


def _options(config: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in config.items())
