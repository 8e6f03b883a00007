"""A file that is not a model ends a command with one line and exit code 2, however it is made."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.models_streams import learned, ring
from typer.testing import CliRunner

from models.registry import build as new_model
from models.snapshot import encode, freeze
from serving.cli import build
from serving.model_file import read_file
from streams.child_command import module_command
from streams.errors import Refused

MEMORY = 4 << 30


def snapshot() -> dict[str, np.ndarray]:
    model = new_model("markov", 0, max_items=256)
    learned(model, ring(60, items=20))
    return freeze("markov", model).arrays


def file_of(arrays: dict[str, np.ndarray]) -> bytes:
    return encode(freeze("markov", new_model("markov", 0, max_items=256))._replace(arrays=arrays))


ARRAYS = snapshot()
FILES: dict[str, tuple[bytes, str]] = {
    "an array is missing": (
        file_of({name: array for name, array in ARRAYS.items() if name != "memory.rows.used"}),
        "the array memory.rows.used is missing",
    ),
    "an index is out of range": (
        file_of(ARRAYS | {"memory.rows.item": ARRAYS["memory.rows.item"] + 10**9}),
        "rows.item has values",
    ),
    "a type is wrong": (file_of(ARRAYS | {"memory.events": np.ones(1, np.float32)}), "expected <i8"),
    "it is cut": (file_of(ARRAYS)[:-1], "its header asks for"),
    "it has more": (file_of(ARRAYS) + b"x", "its header asks for"),
    "its header nests deeply": ((50_000).to_bytes(8, "little") + b"[" * 50_000, "its header cannot be read"),
    "its header has a gigabyte": ((10**9).to_bytes(8, "little") + b"{}", "its header has 1000000000 bytes"),
    "its header has 2^64 bytes": (b"\xff" * 8, "its header has"),
}


@pytest.mark.parametrize("command", ["inspect", "import"])
@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, command: str) -> None:
    monkeypatch.setenv("OUZEL_MODEL", "markov")
    monkeypatch.setenv("OUZEL_MAX_ITEMS", "256")
    data, message = FILES[kind]
    file = tmp_path / "model"
    file.write_bytes(data)
    with pytest.raises(Refused) as caught:
        CliRunner().invoke(build(), ["model", command, str(file)], catch_exceptions=False)
    line = str(caught.value)
    assert line.startswith(f"{file} is not a usable model file: ")
    assert message in line
    assert "\n" not in line


def test_a_file_that_is_larger_than_the_settings_allow_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(file_of(ARRAYS))
    assert read_file(tmp_path / "model").model.vocabulary_size == 19
    with pytest.raises(Refused, match="bytes: a model of its options has at most 1000"):
        read_file(tmp_path / "model", 1000)


def zeros(file: Path) -> None:
    file.symlink_to("/dev/zero")


def sparse(file: Path) -> None:
    file.write_bytes(file_of(ARRAYS))
    os.truncate(file, 6 << 30)


@pytest.mark.parametrize(
    ("make", "message"), [(os.mkfifo, "is not a file"), (zeros, "is not a file"), (sparse, "its header asks for")]
)
def test_a_file_without_an_end_is_not_read(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    make(tmp_path / "model")
    done = subprocess.run(
        module_command("serving.cli", "model", "inspect", str(tmp_path / "model")), capture_output=True, text=True, timeout=60,
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )  # fmt: skip
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
