"""A header that no snapshot can have is refused before anything else is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from safetensors.numpy import save

from models.snapshot import FORMAT, MAX_HEADER, SnapshotError, check_start, read_header, restore


def described(**changes: Any) -> bytes:
    """A snapshot with such a description and without arrays."""
    fields = {"format": FORMAT, "version": 1, "model": "markov", "config": {}, "sha256": "x"} | changes
    return save({}, {FORMAT: json.dumps(fields)})


def nest(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"max_items": nest(900)}},
        {"config": nest(900)},
        {"config": {"seed": -1}},
        {"config": {"seed": 2**70}},
        {"config": {"seed": "x" * 1000}},
        {"config": {"x" * 1000: 1}},
        {"config": {str(n): n for n in range(100)}},
        {"model": "x" * 1000},
        {"model": ["markov"]},
        {"sha256": "x" * 1000},
        {"version": "1"},
        {"version": 1e300},
    ],
    ids=repr,
)
def test_a_description_beyond_the_schema_is_refused_in_a_short_line(changes: dict[str, Any]) -> None:
    for read in (read_header, restore):
        with pytest.raises(SnapshotError, match="its header cannot be read") as caught:
            read(described(**changes))
        assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 50_000,
        b'{"__metadata__":' + b"[" * 50_000,
        b'{"__metadata__":{"ouzel-model":"' + b"[" * 50_000 + b'"}}',
        b'{"__metadata__":{"ouzel-model":"' + rb"{\"version\":" + b"[" * 50_000 + b'"}}',
        b'{"__metadata__":{"other":"{}"}}',
        b'{"__metadata__":[]}',
        b"{}",
        b"\xff\xfe",
        b"",
    ],
    ids=lambda header: repr(header[:40]),
)
def test_a_header_of_other_json_is_refused(header: bytes) -> None:
    with pytest.raises(SnapshotError):
        restore(len(header).to_bytes(8, "little") + header)


@pytest.mark.parametrize("array", [
    {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]},
    {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]},
    {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**63]},
    {"dtype": "F32", "shape": [1] * 100, "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [2**50], "data_offsets": [0, 2**52]},
    {"dtype": "F32", "shape": "x", "data_offsets": [0, 4]},
    {"dtype": "X" * 100, "shape": [1], "data_offsets": [0, 4]},
    {"shape": [1]},
    None,
], ids=repr)  # fmt: skip
def test_an_array_of_an_impossible_shape_is_refused(array: Any) -> None:
    header = json.dumps({"format": FORMAT, "version": 1, "model": "markov", "config": {}, "sha256": "x"})
    encoded = json.dumps({"memory.free": array, "__metadata__": {FORMAT: header}}).encode()
    data = len(encoded).to_bytes(8, "little") + encoded + bytes(4)
    for read in (restore, lambda data: check_start(data, len(data))):
        with pytest.raises(SnapshotError):
            read(data)


def test_a_header_of_a_gigabyte_is_refused_without_reading_it() -> None:
    with pytest.raises(SnapshotError, match=f"its header has 1000000000 bytes, at most {MAX_HEADER}"):
        read_header((10**9).to_bytes(8, "little") + b"{}")
