"""Snapshots with a right hash and wrong arrays are refused. Nothing crashes or hangs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.models_streams import learned, ring

from models.baselines.vmis_knn import SESSIONS
from models.gate.gate import STORED
from models.layout import BYTES_BESIDES, BYTES_PER_ITEM, ITEM_BYTES, LATER, largest_snapshot
from models.net.net import REPLAY
from models.panel import Panel
from models.recommender import Query
from models.registry import METHODS, build
from models.snapshot import MAX_HEADER, Frozen, SnapshotError, check_start, encode, freeze, read_header, restore, take
from models.state import part

Arrays = dict[str, NDArray[Any]]
CONFIGS = {
    "hybrid": {"encoder": "recency", "profile": "fast", "max_items": 300},
    "gru_alone": {"profile": "fast", "max_items": 300},
    "vmis_knn": {"max_items": 1000},
    "markov": {"max_items": 300},
}


@pytest.fixture(scope="module")
def states() -> dict[str, Frozen]:
    """The state of a model of each kind, after it has learned. Most have evicted items."""
    made = {}
    for name, config in CONFIGS.items():
        model = build(name, 3, **config)
        learned(model, ring(900, items=400))
        made[name] = freeze(name, model)
    return made


def with_arrays(frozen: Frozen, **arrays: Any) -> bytes:
    """A snapshot with other arrays and the right hash.

    In names, "__" stands for a dot. ``None`` leaves an array out.
    """
    changed = frozen.arrays | {name.replace("__", "."): array for name, array in arrays.items()}
    return encode(frozen._replace(arrays={name: array for name, array in changed.items() if array is not None}))


def refused(data: bytes) -> str:
    """The one line of the refusal.

    The error is let go at once: with `pytest.raises`, it and this frame would keep each other, and
    every half-made model, until a full collection.
    """
    try:
        restore(data)
    except SnapshotError as error:
        line = str(error)
    else:
        pytest.fail("it was not refused")
    assert "\n" not in line
    return line


def edited(frozen: Frozen, name: str, place: Any, value: Any) -> bytes:
    array = frozen.arrays[name].copy()
    array[place] = value
    return with_arrays(frozen, **{name.replace(".", "__"): array})


def test_each_missing_array_is_named(states: dict[str, Frozen]) -> None:
    for frozen in states.values():
        for name in frozen.arrays:
            data = with_arrays(frozen, **{name.replace(".", "__"): None})
            if name.rpartition(".")[2] in LATER:
                restore(data)
            else:
                assert refused(data).endswith(f"the array {name} is missing")


def test_each_wrong_type_and_shape_is_named(states: dict[str, Frozen]) -> None:
    for frozen in states.values():
        for name, array in frozen.arrays.items():
            key = name.replace(".", "__")
            other = np.float64 if array.dtype != np.float64 else np.float32
            assert f"the array {name} is " in refused(with_arrays(frozen, **{key: array.astype(other)}))
            assert f"the array {name} is " in refused(with_arrays(frozen, **{key: array[None]}))


@pytest.mark.parametrize("more", [1, 3000])
def test_an_array_with_more_rows_than_there_are_items_is_refused(states: dict[str, Frozen], more: int) -> None:
    for frozen in states.values():
        for name, array in frozen.arrays.items():
            if name.rpartition(".")[2] not in ("gaps", "text", "open") and len(array):
                longer = np.concatenate([array, np.repeat(array[-1:], more, axis=0)])
                refused(with_arrays(frozen, **{name.replace(".", "__"): longer}))


BEYOND = 2**31 - 1
WRONG: list[tuple[str, str, Any, Any, str]] = [
    ("hybrid", "memory.rows.item", (3, 0), 300, "memory.rows.item|rows.item has values"),
    ("hybrid", "memory.rows.item", (3, 0), -1, "a slot in use has no item"),
    ("hybrid", "memory.rows.item", (0, 31), BEYOND, "rows.item has values"),
    ("hybrid", "memory.rows.used", 3, 33, "rows.used has values"),
    ("hybrid", "memory.rows.used", 3, -1, "rows.used has values"),
    ("hybrid", "memory.rows.weight", (3, 0, 0), np.nan, "memory.rows.weight has a number that is not finite"),
    ("hybrid", "memory.rows.increment", 3, 0, "not above 0"),
    ("hybrid", "memory.items.lengths", 3, BEYOND, "items.lengths has values"),
    ("hybrid", "memory.items.lengths", 3, -1, "do not add up"),
    ("hybrid", "memory.items.text", 3, 0xFF, "utf-8"),
    ("hybrid", "memory.offsets", 0, -1, "offsets has values"),
    ("hybrid", "memory.events", 0, -1, "memory.events has values"),
    ("hybrid", "memory.statistics.increment", 0, np.inf, "not finite"),
    ("hybrid", "net.recent", 5, 300, "recent has values"),
    ("hybrid", "net.examples", (5, 5), BEYOND, "examples has values"),
    ("hybrid", "net.trained", 0, 3, "examples has"),
    ("hybrid", "net.items.embedding", (5, 5), -np.inf, "not finite"),
    ("hybrid", "net.encoder.steps", 0, -1, "net.encoder.steps has values"),
    ("hybrid", "net.guard", 0, np.nan, "not finite"),
    ("hybrid", "gate.stored", 0, 0, "features has"),
    ("hybrid", "gate.ring.candidates", 5, 1000, "candidates has values"),
    ("hybrid", "gate.ring.candidates", 5, 0, "candidates has values"),
    ("hybrid", "gate.ring.candidates", slice(None), 1, "answer in the ring"),
    ("hybrid", "gate.ring.answer", 5, 32, "answer has values"),
    ("hybrid", "gate.ring.answer", 5, -1, "answer has values"),
    ("hybrid", "gate.ring.features", (5, 5, 5), np.nan, "not finite"),
    ("hybrid", "gate.adam.served", 5, np.nan, "not finite"),
    ("hybrid", "drift", 0, np.nan, "not finite"),
    ("hybrid", "drift", 0, -1, "has seen -1 values"),
    ("hybrid", "drifts", 0, 2**31, "drifts has values"),
    ("hybrid", "steps", 0, 2**62, "steps has values"),
    ("gru_alone", "net.encoder.gru.weights", 5, np.nan, "not finite"),
    ("vmis_knn", "open", 1, -2, "an open session is not one"),
    ("vmis_knn", "open", 0, 10**6, "an open session is not one"),
    ("vmis_knn", "open", 3, 10**6, "an open session is not one"),
    ("vmis_knn", "items", (0, 0), 1000, "items has values"),
    ("vmis_knn", "size", 0, 21, "size has values"),
    ("vmis_knn", "sessions_of", (0, 0), BEYOND, "sessions_of has values"),
    ("vmis_knn", "count_of", 0, -1, "count_of has values"),
    ("vmis_knn", "begun", 0, 1, "items has"),
    ("markov", "memory.rows.item", (0, 0), 300, "rows.item has values"),
]


@pytest.mark.parametrize(("model", "name", "place", "value", "message"), WRONG)
def test_a_number_that_a_kernel_could_not_use_is_refused(
    states: dict[str, Frozen], model: str, name: str, place: Any, value: Any, message: str
) -> None:
    assert re.search(message, refused(edited(states[model], name, place, value)))


def test_a_loss_before_the_first_step_and_arrays_of_a_later_version_are_accepted(states: dict[str, Frozen]) -> None:
    restore(take("hybrid", build("hybrid", 3, **CONFIGS["hybrid"])))
    imported = build("markov", 3, **CONFIGS["markov"])
    imported.reposition({0: 12})  # all events of the last record count as applied
    assert restore(take("markov", imported)).position == {0: 12}
    restore(with_arrays(states["hybrid"], gate__added_later=np.zeros((3, 3), np.float32)))
    restore(with_arrays(states["hybrid"], gate__guard=None, memory__gaps=None))


@pytest.mark.parametrize("width", [16, 40])
def test_stored_queries_of_another_width_are_dropped_and_learning_goes_on(states: dict[str, Frozen], width: int) -> None:
    frozen = states["hybrid"]
    features = frozen.arrays["gate.ring.features"]  # [stored, kept, F]
    other = np.resize(features, (features.shape[0], width, features.shape[2]))
    model = restore(with_arrays(frozen, gate__ring__features=other))
    assert model.state()["gate.stored"] == 0
    assert np.array_equal(model.state()["gate.adam.weights"], frozen.arrays["gate.adam.weights"])
    learned(model, ring(200, seed=2, first=900, items=400))
    assert model.state()["gate.stored"] > 0
    assert model.skipped_steps == 0
    too_wide = np.resize(features, (features.shape[0], 65, features.shape[2]))
    assert "expected" in refused(with_arrays(frozen, gate__ring__features=too_wide))


def test_positions_and_gaps_that_no_topic_has_are_refused(states: dict[str, Frozen]) -> None:
    frozen = states["markov"]
    names = ("memory__partitions", "memory__offsets", "memory__numbers")
    twice = dict.fromkeys(names, np.zeros(2, np.int64))
    assert "a partition is there twice" in refused(with_arrays(frozen, **twice))
    assert "gap" in refused(with_arrays(frozen, memory__gaps=np.array([[0, 9, 3]], np.int64)))
    assert "gap" in refused(with_arrays(frozen, memory__gaps=np.array([[0, n, n + 3] for n in range(9)], np.int64)))


def test_free_rows_that_have_items_or_are_beyond_all_rows_are_refused(states: dict[str, Frozen]) -> None:
    for free in (3, 300, 10**9, -1):
        assert "the free rows are not" in refused(with_arrays(states["hybrid"], memory__free=np.array([free], np.int64)))


def test_two_rows_of_one_item_are_refused(states: dict[str, Frozen]) -> None:
    text, lengths = states["markov"].arrays["memory.items.text"].copy(), states["markov"].arrays["memory.items.lengths"]
    ends = np.cumsum(np.maximum(lengths, 0))
    one, other = np.flatnonzero(lengths == 4)[:2]
    text[ends[other] - 4 : ends[other]] = text[ends[one] - 4 : ends[one]]
    assert "an item has two rows" in refused(with_arrays(states["markov"], memory__items__text=text))


@settings(max_examples=40)
@given(st.data())
def test_whatever_one_array_holds_the_model_is_refused_or_learns_on(states: dict[str, Frozen], data: st.DataObject) -> None:
    frozen = states[data.draw(st.sampled_from(sorted(states)))]
    name = data.draw(st.sampled_from(sorted(name for name, array in frozen.arrays.items() if array.size)))
    array = frozen.arrays[name].copy()
    values = st.sampled_from([-1, 0, 1, 7, 31, 299, 300, 10**6, 2**31 - 1, -(2**31)])
    for place in data.draw(st.lists(st.integers(0, array.size - 1), min_size=1, max_size=3)):
        array.reshape(-1)[place] = np.array(data.draw(values)).astype(array.dtype)
    try:
        model = restore(with_arrays(frozen, **{name.replace(".", "__"): array}))
    except SnapshotError:
        return
    learned(model, ring(64, seed=9, first=900, items=400))
    model.rank([Query(["i1", "i2"], per_expert=True), Query([])], 10)


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_panel_takes_the_counts_of_any_model_and_refuses_others(states: dict[str, Frozen], name: str) -> None:
    memory = part(states[name].arrays, "memory")
    assert len(Panel.restored(memory, 50).memory.vocabulary) == len(Panel.restored(memory).memory.vocabulary) > 200
    for key, array in memory.items():
        if key.rpartition(".")[2] not in LATER:
            for wrong in ({k: v for k, v in memory.items() if k != key}, memory | {key: array[None]}):
                with pytest.raises(ValueError, match=key):
                    Panel.restored(wrong)
    wide = memory | {"rows.item": np.zeros((1, 10**6), np.int32)}
    with pytest.raises(ValueError, match="1000000 slots"):
        Panel.restored(wide)


def test_the_start_of_a_snapshot_shows_its_size_and_arrays(states: dict[str, Frozen]) -> None:
    data = encode(states["hybrid"])
    start = data[:MAX_HEADER]
    assert check_start(start, len(data)) == read_header(data)
    with pytest.raises(SnapshotError, match=f"its header asks for {len(data)} bytes, it has {len(data) + 1}"):
        check_start(start, len(data) + 1)
    wrong = with_arrays(states["hybrid"], memory__rows__item=np.zeros((10**6, 1), np.int32))
    with pytest.raises(SnapshotError, match=r"the array memory\.rows\.item is"):
        check_start(wrong[:MAX_HEADER], len(wrong))


# the largest snapshot


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_largest_snapshot_of_each_method_is_within_the_bound(name: str) -> None:
    """Full rings take at most `BYTES_BESIDES`, and the row of an item `BYTES_PER_ITEM`."""
    new = build(name, 0).state()
    rings = {"examples": REPLAY, "weights": REPLAY, "items": SESSIONS, "size": SESSIONS, "open": 13 * SESSIONS}
    per_item, besides = ITEM_BYTES, 0
    for key, array in new.items():
        of_row, last = array.dtype.itemsize * int(np.prod(array.shape[1:])), key.rpartition(".")[2]
        if array.shape[0]:
            besides += array.nbytes
        elif key.startswith("gate.ring"):
            besides += of_row * STORED
        elif last in rings:
            besides += of_row * rings[last]
        elif last in ("partitions", "offsets", "numbers", "gaps"):
            besides += of_row * 5000
        elif last != "text":
            per_item += of_row
    assert per_item <= BYTES_PER_ITEM
    assert besides <= BYTES_BESIDES
    assert largest_snapshot(250_000) < 1.5 * 2**30
