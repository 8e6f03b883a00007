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
from safetensors.numpy import load, save

from models.layout import Layout, check_layout, check_numbers, layouts
from models.recommender import Recommender
from models.registry import build
from models.state import State

FORMAT = "ouzel-model"
VERSION = 1
MAX_HEADER = 100_000
"""Most bytes of the header. The hybrid's has 6 kB."""
START = 8 + MAX_HEADER
"""With so many bytes of a snapshot its header can be read."""
TYPES = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "|u1", "U64": "<u8"}
"""The types of arrays that models have: safetensors' names and numpy's."""
_LENGTH = struct.Struct("<Q")
_LONGEST_WORD, _LARGEST_SIZE, _MOST_OPTIONS, _MOST_DIMENSIONS = 64, 2**53, 32, 8


class SnapshotError(Exception):
    """The bytes are not a snapshot that this program can read. The message is one line."""


class SnapshotHeader(NamedTuple):
    """The description of the model in a snapshot, with the hash of description and arrays.

    ``size`` is that of the snapshot in bytes, and ``arrays`` are its arrays by name.
    """

    version: int
    model: str
    config: dict[str, Any]
    sha256: str
    size: int
    arrays: dict[str, Layout]


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
    """The header of a snapshot, without a check of its hash. The first `START` bytes suffice.

    Raises `SnapshotError`.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        if length > MAX_HEADER:
            raise SnapshotError(f"not a model snapshot: its header has {length} bytes, at most {MAX_HEADER}")
        fields = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        description = json.loads(fields.pop("__metadata__")[FORMAT])
        version = _size(description["version"])
        if version != VERSION:
            raise SnapshotError(f"the snapshot has version {version}; this program reads version {VERSION}")
        model, config, sha256 = _word(description["model"]), _options(description["config"]), _word(description["sha256"])
        arrays = {name: _layout(field) for name, field in fields.items()}
        end = max((_size(field["data_offsets"][1]) for field in fields.values()), default=0)
    except (LookupError, TypeError, ValueError, AttributeError, struct.error, RecursionError) as error:
        raise SnapshotError("not a model snapshot: its header cannot be read") from error
    return SnapshotHeader(version, model, config, sha256, _LENGTH.size + length + end, arrays)


def _layout(field: Any) -> Layout:
    """The layout of an array in a header of safetensors. Raises ``ValueError`` and others."""
    shape, dtype = field["shape"], _word(field["dtype"])
    if type(shape) is not list or len(shape) > _MOST_DIMENSIONS:
        raise ValueError
    return Layout(TYPES.get(dtype, dtype), tuple(map(_size, shape)))


def _options(config: Any) -> dict[str, Any]:
    """The options of a model: texts and numbers. Raises ``ValueError`` for others."""
    if type(config) is not dict or len(config) > _MOST_OPTIONS:
        raise ValueError
    for name, value in config.items():
        _word(name)
        if type(value) is not bool:
            (_word if type(value) is str else _size)(value)
    return config


def _word(value: Any) -> str:
    if type(value) is not str or len(value) > _LONGEST_WORD:
        raise ValueError
    return value


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_SIZE:
        raise ValueError
    return value


def check_start(start: bytes, size: int) -> SnapshotHeader:
    """The header of a snapshot of ``size`` bytes, of which only the first `START` are there.

    Raises `SnapshotError` if they show that `restore` would refuse it.
    """
    header = read_header(start)
    if header.size != size:
        raise SnapshotError(f"the snapshot is incomplete or damaged: its header asks for {header.size} bytes, it has {size}")
    _check_layout(header.arrays, build_from(header).state())
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
    except Exception as error:  # safetensors refuses it, numpy lacks a type, or there is not enough memory
        raise SnapshotError(f"the snapshot is incomplete or damaged: {error}") from error
    if digest != header.sha256:
        raise SnapshotError("the snapshot is damaged: its contents do not match the hash in its header")
    return header, arrays


def restore(data: bytes) -> Recommender:
    """The model of a snapshot.

    Raises `SnapshotError` as `read` does, if this program has no such model, and if the arrays are
    not such as it can have.
    """
    header, arrays = read(data)
    model = build_from(header)
    new = model.state()
    _check_layout(layouts(arrays), new)
    try:
        check_numbers(arrays, new)
        model.restore(arrays)
    except Exception as error:  # any array may have any content
        raise SnapshotError(f"its arrays do not fit its model: {error}") from error
    return model


def build_from(header: SnapshotHeader) -> Recommender:
    """A new model as the header describes it. Raises `SnapshotError` if there is no such model."""
    try:
        return build(header.model, **header.config)
    except Exception as error:  # an option may have any value
        raise SnapshotError(f"the snapshot is of a model that this program does not have: {error}") from error


def _check_layout(found: Mapping[str, Layout], new: State) -> None:
    try:
        check_layout(found, new)
    except ValueError as error:
        raise SnapshotError(f"its arrays do not fit its model: {error}") from error


def _digest(description: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """The SHA-256 of a description and the arrays with their names, types and shapes."""
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
