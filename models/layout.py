"""What arrays a snapshot may have: checked before a model takes them, or memory is used for them.

Kernels do not check indices, so a wrong shape or row would crash the process long after a restore.
`check_layout` compares names, types and shapes with those of a new model; the parts of a model
check their own rows with the other functions. All raise ``ValueError`` with one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.state import State

ITEM_BYTES = 1024
"""Most bytes of an item's id: 256 characters of four bytes."""
BYTES_PER_ITEM = 5_000
"""Most bytes of an item in a snapshot of any method.

The hybrid needs 2.1 kB besides the id, and `vmis_knn` 3.9 kB. A test measures both.
"""
BYTES_BESIDES = 128 << 20
"""Most bytes of a snapshot besides those of items: stored examples and weights. They have 30 MB."""
MOST_STEPS = 2**53
MOST_DRIFTS = 2**31 - 1
LATER = ("numbers", "gaps", "guard", "order", "sizes", "centroids", "half", "spread", "swept")
"""Arrays that the first snapshots lack."""
WIDEST = {"gate.ring.features": 64}
"""Arrays of another width in snapshots of other versions, and the most columns that they may have.

The model drops what they have.
"""
MAY_BE_NAN = ("loss",)
"""The loss is NaN before the first step."""


class Layout(NamedTuple):
    """The type of an array in numpy's notation, such as ``<f4``, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def largest_snapshot(max_items: int) -> int:
    """Return the most bytes that a snapshot of a model with so many items can have."""
    return BYTES_BESIDES + max_items * BYTES_PER_ITEM


def layouts(state: State) -> dict[str, Layout]:
    """The layout of each array."""
    return {name: Layout(array.dtype.str, array.shape) for name, array in state.items()}


def check_layout(found: Mapping[str, Layout], new: State) -> None:
    """Check that a model can have these arrays. ``new`` is the state of a new one.

    Where an array of a new model has no rows, any number is allowed. Other arrays are ignored: a
    later version of Ouzel may write more.
    """
    for name, expected in layouts(new).items():
        layout = found.get(name)
        if layout is None:
            if name.rpartition(".")[2] in LATER:
                continue
            raise ValueError(f"the array {name} is missing")
        shape = expected.shape
        if name in WIDEST and layout.shape[1:2] <= (WIDEST[name],):
            shape = (*shape[:1], *layout.shape[1:2], *shape[2:])
        grows = shape[:1] == (0,) and len(layout.shape) == len(shape) and layout.shape[1:] == shape[1:]
        if layout.dtype != expected.dtype or not (layout.shape == shape or grows):
            raise ValueError(f"the array {name} is {_text(layout)}, expected {_text(expected)}")


def check_numbers(state: State, new: State) -> None:
    """Check that single counts are from 0 to 2^53, and that no fraction is infinite or NaN."""
    for name, initial in new.items():
        array, last = state.get(name), name.rpartition(".")[2]
        if array is None or last in MAY_BE_NAN:
            continue
        if array.dtype.kind == "f":
            if not np.isfinite(array).all():
                raise ValueError(f"the array {name} has a number that is not finite")
        elif initial.dtype == np.int64 and initial.shape == (1,):
            check_range(name, array, 0, MOST_DRIFTS if last == "drifts" else MOST_STEPS)


def check_range(name: str, array: NDArray[Any], least: int, most: int) -> None:
    """Check that every integer of an array is in a range, both ends included."""
    if array.size and not (least <= int(array.min()) and int(array.max()) <= most):
        raise ValueError(f"the array {name} has values from {array.min()} to {array.max()}, expected {least} to {most}")


def check_lengths(state: State, names: Sequence[str], length: int) -> None:
    """Check that each of the named arrays has so many rows."""
    for name in names:
        if len(state[name]) != length:
            raise ValueError(f"the array {name} has {len(state[name])} rows, expected {length}")


def _text(layout: Layout) -> str:
    return f"{layout.dtype} of the shape {layout.shape}"
