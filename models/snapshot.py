"""A model as bytes and back: one safetensors file with a header of version, settings and hash.

A snapshot never contains pickled objects.
"""

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
    """The bytes are not a snapshot that this program can read. The message is one line."""


class SnapshotHeader(NamedTuple):
    """The description of the model in a snapshot, with the hash of description and arrays."""

    version: int
    model: str
    config: dict[str, Any]
    sha256: str


class Frozen(NamedTuple):
    """A copy of a model's state, which can be encoded while the model continues to learn."""

    model: str
    config: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def freeze(name: str, model: Recommender) -> Frozen:
    """Copy the state of a model that `build` made under this name.

    Call it on the thread that owns the model.
    """
    return Frozen(name, config_of(model), {key: np.array(array, order="C") for key, array in model.state().items()})


def config_of(model: Recommender) -> dict[str, Any]:
    """The options that `build` made the model with."""
    config: dict[str, Any] = getattr(model, "config", {})
    return config


def take(name: str, model: Recommender) -> bytes:
    """The snapshot of a model that `build` made under this name."""
    return encode(freeze(name, model))


def encode(frozen: Frozen) -> bytes:
    """The bytes of a snapshot."""
    arrays = frozen.arrays
    description = {"format": FORMAT, "version": VERSION, "model": frozen.model, "config": frozen.config}
    header = json.dumps(description | {"sha256": _digest(description, arrays)}, sort_keys=True)
    return save(arrays, {FORMAT: header})  # one key, because safetensors does not keep the order of several


def read_header(data: bytes) -> SnapshotHeader:
    """The header of a snapshot, without a check of its hash. Raises `SnapshotError`."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        fields = json.loads(json.loads(data[_LENGTH.size : _LENGTH.size + length])["__metadata__"][FORMAT])
        header = SnapshotHeader(int(fields["version"]), str(fields["model"]), dict(fields["config"]), str(fields["sha256"]))
    except (KeyError, TypeError, ValueError, struct.error, OverflowError, RecursionError) as error:
        raise SnapshotError("not a model snapshot: its header cannot be read") from error
    if header.version != VERSION:
        raise SnapshotError(f"the snapshot has version {header.version}; this program reads version {VERSION}")
    return header


def read(data: bytes) -> tuple[SnapshotHeader, dict[str, NDArray[Any]]]:
    """The header and arrays of a snapshot.

    Raises `SnapshotError`, also if the contents do not match the hash.
    """
    header = read_header(data)
    try:
        arrays = load(data)
        description = {"format": FORMAT, "version": header.version, "model": header.model, "config": header.config}
        digest = _digest(description, arrays)
    except (SafetensorError, LookupError, ValueError, TypeError, RecursionError) as error:  # such as a type that numpy lacks
        raise SnapshotError(f"the snapshot is incomplete or damaged: {error}") from error
    if digest != header.sha256:
        raise SnapshotError("the snapshot is damaged: its contents do not match the hash in its header")
    return header, arrays


def restore(data: bytes) -> Recommender:
    """The model of a snapshot.

    Raises `SnapshotError` as `read` does, and if this program has no such model.
    """
    header, arrays = read(data)
    try:
        model = build(header.model, **header.config)
    except (TypeError, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise SnapshotError(f"the snapshot is of a model that this program does not have: {error}") from error
    try:
        model.restore(arrays)
    except Exception as error:  # an array may be missing, or have any shape and type
        raise SnapshotError(f"its arrays do not fit its model: {error}") from error
    return model


def _digest(description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 of a description and the arrays with their names, types and shapes."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
