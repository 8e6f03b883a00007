"""A learner's parameters as records of the `model-updates` topic, and back. Pure: no Kafka, no clock, no model.

Each record stands alone and holds absolute values, so that one that came twice, or is missing, harms nothing for long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.recommender import Parameters
from streams.errors import BadData
from streams.kafka.decoding import decoded
from streams.kafka.outbox import NO_HEADERS, Outgoing

VERSION = 1
RECORD_BYTES = 500_000
DENSE_KEY, ROWS_KEY = b"dense", b"rows"


class UpdateRefused(BadData):
    """A record that is no update for this model; one line."""


class Update(msgspec.Struct, kw_only=True, array_like=True):
    """``model`` says of which model, with which options; ``epoch`` is the learner's, ``offset`` the next one of the
    transitions log that it had not learned. ``rows`` and ``blocks`` are float32, little-endian.
    """

    version: int = VERSION
    model: str
    epoch: int
    offset: int
    steps: int
    drifts: int
    items: list[str]
    rows: bytes
    blocks: dict[str, bytes]


_decode = msgspec.msgpack.Decoder(Update).decode


def to_records(parameters: Parameters, model: str, epoch: int, offset: int) -> list[Outgoing]:
    """The records of one publication: the dense blocks, then the rows in parts that any topic takes."""

    def record(key: bytes, items: list[str], rows: NDArray[np.float32], blocks: dict[str, bytes]) -> Outgoing:
        told = Update(
            model=model, epoch=epoch, offset=offset, steps=parameters.steps, drifts=parameters.drifts, items=items,
            rows=rows.astype("<f4").tobytes(), blocks=blocks,
        )  # fmt: skip
        return key, msgspec.msgpack.encode(told), NO_HEADERS

    blocks = {name: block.astype("<f4").tobytes() for name, block in parameters.blocks.items()}
    dense = record(DENSE_KEY, [], parameters.rows[:0], blocks)
    return [dense, *(record(ROWS_KEY, parameters.items[part], parameters.rows[part], {}) for part in _parts(parameters))]


def from_record(value: bytes | None, model: str) -> tuple[Update, Parameters]:
    """What a record of the topic says. Raises `UpdateRefused`."""
    told = decoded(_decode, value, UpdateRefused)
    if told.version != VERSION:
        raise UpdateRefused("other_version", f"version {told.version}, this program reads {VERSION}")
    if told.model != model:
        raise UpdateRefused("other_model", f"it is of another model, {told.model}")
    try:
        blocks = {name: np.frombuffer(block, "<f4").astype(np.float32) for name, block in told.blocks.items()}
        rows = np.frombuffer(told.rows, "<f4").astype(np.float32).reshape(len(told.items), -1) if told.items else NO_ROWS
    except ValueError as error:  # a length that is not a multiple of four, or does not fit the items
        raise UpdateRefused("wrong_shape", str(error)) from error
    if not all(math.isfinite(float(array.sum(dtype=np.float64))) for array in (rows, *blocks.values())):
        raise UpdateRefused("not_finite", "a parameter is not finite")
    return told, Parameters(told.steps, told.drifts, told.items, rows, blocks)


NO_ROWS: NDArray[np.float32] = np.zeros((0, 0), np.float32)


def _parts(parameters: Parameters) -> Iterator[slice]:
    begin, size = 0, 0
    for end, item in enumerate(parameters.items):
        of_row = len(item.encode()) + parameters.rows.shape[1] * 4 + 8
        if size and size + of_row > RECORD_BYTES:
            yield slice(begin, end)
            begin, size = end, 0
        size += of_row
    if begin < len(parameters.items):
        yield slice(begin, len(parameters.items))
