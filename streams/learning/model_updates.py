"""A learner's parameters as records of the `model-updates` topic, and back. Pure.

Each record is independent and has absolute values. So a repeated record does no harm, and a missing
record does harm only until the next publication.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from models.recommender import Parameters
from streams.errors import BadData
from streams.events.bounds import MAX_OFFSET
from streams.events.records import Count, Offset
from streams.kafka.decoding import decoded
from streams.kafka.outbox import NO_HEADERS, Outgoing
from streams.learning.model_log import MAX_EPOCH

VERSION = 1
RECORD_BYTES = 500_000
"""Any topic accepts a record of about this size."""
MAX_PARAMETER = 1e6
"""The largest parameter that is accepted. Scores overflow with much larger ones."""
DENSE_KEY, ROWS_KEY = b"dense", b"rows"


class UpdateRefused(BadData):
    """A record is not an update for this model. The message says why, in one line."""


class Update(msgspec.Struct, kw_only=True, array_like=True):
    """Parameters of a learner, as they are sent.

    ``model`` names the model and its options. ``epoch`` is the learner's, and ``offset`` that of
    the first transition that it had not learned. ``rows`` are embeddings and biases of ``items``,
    and ``blocks`` are whole arrays by name: float32, little-endian.
    """

    version: int = VERSION
    model: str
    epoch: Annotated[int, Meta(ge=0, le=MAX_EPOCH)]
    offset: Offset
    steps: Annotated[int, Meta(ge=0, le=MAX_OFFSET)]
    drifts: Count
    items: list[str]
    rows: bytes
    blocks: dict[str, bytes]


_decode = msgspec.msgpack.Decoder(Update).decode


def to_records(parameters: Parameters, model: str, epoch: int, offset: int) -> list[Outgoing]:
    """Return the records of one publication: the dense blocks, then the rows in parts."""

    def record(key: bytes, items: list[str], rows: NDArray[np.float32], blocks: dict[str, bytes]) -> Outgoing:
        update = Update(
            model=model, epoch=epoch, offset=offset, steps=parameters.steps, drifts=parameters.drifts, items=items,
            rows=rows.astype("<f4").tobytes(), blocks=blocks,
        )  # fmt: skip
        return key, msgspec.msgpack.encode(update), NO_HEADERS

    blocks = {name: block.astype("<f4").tobytes() for name, block in parameters.blocks.items()}
    dense = record(DENSE_KEY, [], parameters.rows[:0], blocks)
    return [dense, *(record(ROWS_KEY, parameters.items[part], parameters.rows[part], {}) for part in _parts(parameters))]


def from_record(value: bytes | None, model: str) -> tuple[Update, Parameters]:
    """Decode a record of the topic. ``model`` is the expected one. Raises `UpdateRefused`."""
    update = decoded(_decode, value, UpdateRefused)
    if update.version != VERSION:
        raise UpdateRefused("other_version", f"version {update.version}, this version of Ouzel reads {VERSION}")
    if update.model != model:
        raise UpdateRefused("other_model", f"it is of another model, {update.model}, not {model}")
    try:
        blocks = {name: np.frombuffer(block, "<f4").astype(np.float32) for name, block in update.blocks.items()}
        rows = np.frombuffer(update.rows, "<f4").astype(np.float32).reshape(len(update.items), -1) if update.items else NO_ROWS
    except ValueError as error:  # a length that is not a multiple of four, or does not fit the items
        raise UpdateRefused("wrong_shape", str(error)) from error
    if not all(np.abs(array).max(initial=0.0) <= MAX_PARAMETER for array in (rows, *blocks.values())):  # also true of NaN
        raise UpdateRefused("not_finite", f"a parameter is not finite, or beyond {MAX_PARAMETER:g}")
    return update, Parameters(update.steps, update.drifts, update.items, rows, blocks)


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
