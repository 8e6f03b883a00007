"""Reads a snapshot's bytes as a model, or as parts of one.

These are the functions of `models.snapshot`, whose errors are not in the tree of `streams.errors`.
Here they raise `SnapshotRefused`, as for a snapshot that is incomplete in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from models import snapshot
from streams.learning.model_log import SnapshotRefused

T = TypeVar("T")


def _refusing(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    @wraps(read)
    def refusing(data: bytes) -> T:
        try:
            return read(data)
        except snapshot.SnapshotError as error:
            raise SnapshotRefused("unreadable", str(error)) from error

    return refusing


read_header = _refusing(snapshot.read_header)
read = _refusing(snapshot.read)
restore = _refusing(snapshot.restore)
