"""Snapshots that are incomplete, damaged, of another program or of another version are refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load, save
from support.models_streams import learned, ring

from models.registry import build
from models.snapshot import FORMAT, SnapshotError, read_header, restore, take

SETTINGS = {"encoder": "recency", "profile": "fast", "max_items": 5000}


@pytest.fixture(scope="module")
def data() -> bytes:
    model = build("hybrid", 3, **SETTINGS)
    learned(model, ring(200))
    return take("hybrid", model)


def test_the_header_describes_the_model(data: bytes) -> None:
    header = read_header(data)
    assert (header.version, header.model) == (1, "hybrid")
    assert header.config | {"seed": 3, **SETTINGS} == header.config
    assert restore(data).position == {0: 199}


def test_safetensors_reads_it(data: bytes, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "model.safetensors").write_bytes(data)
    with safe_open(str(tmp_path / "model.safetensors"), "numpy") as file:
        assert "gate.adam.weights" in set(file.keys())


@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_bit_is_detected(data: bytes, at: float, bit: int) -> None:
    changed = bytearray(data)
    changed[int(at * len(data))] ^= 1 << bit
    with pytest.raises(SnapshotError):
        restore(bytes(changed))


@given(kept=st.floats(0, 1, exclude_max=True))
def test_a_truncated_snapshot_is_refused(data: bytes, kept: float) -> None:
    with pytest.raises(SnapshotError):
        restore(data[: int(kept * len(data))])


def with_header(data: bytes, **changes: object) -> bytes:
    length = int.from_bytes(data[:8], "little")
    fields = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][FORMAT])
    return save(load(data), {FORMAT: json.dumps(fields | changes)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"model": "oracle"}, "hash"),
        ({"config": {}}, "hash"),
        ({"config": None}, "not a model snapshot"),
    ],
)
def test_a_changed_header_is_refused(data: bytes, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        restore(with_header(data, **changes))


@pytest.mark.parametrize("other", [b"", b"{}", b"\x80\x04pickle", b"\xff" * 64, save({}, {"format": "pt"})])
def test_other_bytes_are_refused(other: bytes) -> None:
    with pytest.raises(SnapshotError):
        restore(other)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "I4", "X"])
def test_a_file_of_a_type_that_this_program_lacks_is_refused(kind: str) -> None:
    header = json.dumps({"format": FORMAT, "version": 1, "model": "markov", "config": {}, "sha256": "x"})
    fields = {"a": {"dtype": kind, "shape": [2], "data_offsets": [0, 4]}, "__metadata__": {FORMAT: header}}
    encoded = json.dumps(fields).encode()
    with pytest.raises(SnapshotError):
        restore(len(encoded).to_bytes(8, "little") + encoded + bytes(4))
