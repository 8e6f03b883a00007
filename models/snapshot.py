"""A model as bytes and back: one safetensors file whose header says what it is and what its hash must be. Never pickle."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from models.recommender import Recommender
from models.registry import build

FORMAT = "ouzel-model"
VERSION = 1
_LENGTH = struct.Struct("<Q")


class SnapshotError(Exception):
    """Bytes that are no snapshot that this program reads; one line."""


class Manifest(NamedTuple):
    """What a snapshot says of itself."""

    version: int
    model: str
    config: dict[str, Any]
    sha256: str


class Frozen(NamedTuple):
    """A model's state, copied: the model may go on while it is written."""

    model: str
    config: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def freeze(name: str, model: Recommender) -> Frozen:
    """Copy the state of a model that `build` makes under this name."""
    return Frozen(name, config_of(model), {key: np.array(array, order="C") for key, array in model.state().items()})


def config_of(model: Recommender) -> dict[str, Any]:
    """The options that `build` made the model with."""
    config: dict[str, Any] = getattr(model, "config", {})
    return config


def take(name: str, model: Recommender) -> bytes:
    """The snapshot of a model that `build` makes under this name."""
    return encode(freeze(name, model))


def encode(frozen: Frozen) -> bytes:
    """The snapshot's bytes."""
    arrays = frozen.arrays
    told = {"format": FORMAT, "version": VERSION, "model": frozen.model, "config": frozen.config}
    header = json.dumps(told | {"sha256": _digest(told, arrays)}, sort_keys=True)
    return save(arrays, {FORMAT: header})  # one key: safetensors orders several as it likes


def manifest(data: bytes) -> Manifest:
    """What a snapshot says of itself; its hash is not checked. Raises `SnapshotError`."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        told = json.loads(json.loads(data[_LENGTH.size : _LENGTH.size + length])["__metadata__"][FORMAT])
        found = Manifest(int(told["version"]), str(told["model"]), dict(told["config"]), str(told["sha256"]))
    except (KeyError, TypeError, ValueError, struct.error, OverflowError) as error:
        raise SnapshotError(f"no snapshot: {type(error).__name__}") from error
    if found.version != VERSION:
        raise SnapshotError(f"a snapshot of version {found.version}, this program reads {VERSION}")
    return found


def read(data: bytes) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """What a snapshot says of itself, and its arrays. Raises `SnapshotError` where a byte of it has changed."""
    found = manifest(data)
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise SnapshotError(f"no whole snapshot: {error}") from error
    told = {"format": FORMAT, "version": found.version, "model": found.model, "config": found.config}
    if _digest(told, arrays) != found.sha256:
        raise SnapshotError("the snapshot's contents are not those that its hash was taken of")
    return found, arrays


def restore(data: bytes) -> Recommender:
    """The model that a snapshot was taken of. Raises `SnapshotError` as `read` does, and where no such model is known."""
    found, arrays = read(data)
    try:
        model = build(found.model, **found.config)
    except (TypeError, ValueError) as error:
        raise SnapshotError(f"no model of this program: {error}") from error
    model.restore(arrays)
    return model


def _digest(told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
