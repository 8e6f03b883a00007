"""A model's state as named arrays: the content of a snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]


def nested(**parts: State) -> dict[str, NDArray[Any]]:
    """Join the arrays of several parts: the name of each becomes "part.name"."""
    return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def part(state: State, name: str) -> dict[str, NDArray[Any]]:
    """The arrays of one part of what `nested` joined."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}


def scalar(value: float) -> NDArray[Any]:
    """A number as an array [1]: int64 for an int, else float64."""
    return np.array([value], np.int64 if isinstance(value, int) else np.float64)


def copy_rows(into: Sequence[NDArray[Any]], names: Sequence[str], state: State) -> None:
    """Copy each named array into the first rows of its target, which may be longer."""
    for array, name in zip(into, names, strict=True):
        array[: len(state[name])] = state[name]


def text_array(texts: Sequence[str | None]) -> dict[str, NDArray[Any]]:
    """Texts as one UTF-8 array and their lengths in bytes; the length of ``None`` is -1."""
    encoded = [b"" if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = [-1 if text is None else len(data) for text, data in zip(texts, encoded, strict=True)]
    return {"text": np.frombuffer(b"".join(encoded), np.uint8), "lengths": np.array(lengths, np.int32)}


def texts(state: State) -> list[str | None]:
    """The texts that `text_array` encoded. Raises ``ValueError`` for other arrays."""
    data, at, decoded = state["text"].tobytes(), 0, list[str | None]()
    if int(np.maximum(state["lengths"], 0).sum(dtype=np.int64)) != len(data):
        raise ValueError(f"the lengths of the texts do not add up to {len(data)} bytes")
    for length in state["lengths"].tolist():
        decoded.append(None if length < 0 else data[at : at + length].decode("utf-8", "surrogatepass"))
        at += max(length, 0)
    return decoded
