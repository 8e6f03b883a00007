"""State as named arrays: what snapshots are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, NDArray[Any]]


def nested(**parts: State) -> dict[str, NDArray[Any]]:
    """The arrays of several parts, each under its part's name and a dot."""
    return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def part(state: State, name: str) -> dict[str, NDArray[Any]]:
    """The arrays of one part of `nested`."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}


def scalar(value: float) -> NDArray[Any]:
    """A number as an array: int64 or float64."""
    return np.array([value], np.int64 if isinstance(value, int) else np.float64)


def copy_rows(into: Sequence[NDArray[Any]], names: Sequence[str], state: State) -> None:
    """Write each named array over the first rows of its place."""
    for array, name in zip(into, names, strict=True):
        array[: len(state[name])] = state[name]


def text_array(texts: Sequence[str | None]) -> dict[str, NDArray[Any]]:
    """Texts as UTF-8 and their lengths in bytes; ``None`` has length -1."""
    encoded = [b"" if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = [-1 if text is None else len(data) for text, data in zip(texts, encoded, strict=True)]
    return {"text": np.frombuffer(b"".join(encoded), np.uint8), "lengths": np.array(lengths, np.int32)}


def texts(state: State) -> list[str | None]:
    """The texts of `text_array`."""
    data, at, found = state["text"].tobytes(), 0, list[str | None]()
    for length in state["lengths"].tolist():
        found.append(None if length < 0 else data[at : at + length].decode("utf-8", "surrogatepass"))
        at += max(length, 0)
    return found
