"""Reads a snapshot's bytes as a model, or as parts of one.

These are the functions of `models.snapshot`, whose errors are not in the tree of `streams.errors`.
Here they raise `SnapshotRefused`, as for a snapshot that is incomplete in the log, whatever fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from models import snapshot
from models.recommender import Recommender
from streams.learning.model_log import SnapshotRefused, Stored

P = ParamSpec("P")
T = TypeVar("T")


def refusing(read: Callable[P, T]) -> Callable[P, T]:
    """Make a function raise `SnapshotRefused` in place of every other exception.

    The bytes may be anything, so an exception says that they are not a snapshot. An older snapshot
    is used then.
    """

    @wraps(read)
    def refuse(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return read(*arguments, **named)
        except SnapshotRefused:
            raise
        except Exception as error:
            raise SnapshotRefused("unreadable", " ".join(str(error).split()) or type(error).__name__) from error

    return refuse


read_header = refusing(snapshot.read_header)
check_start = refusing(snapshot.check_start)
read = refusing(snapshot.read)
restore = refusing(snapshot.restore)


def restore_stored(stored: Stored) -> Recommender:
    """Return the model of a snapshot in the log. Raises `SnapshotRefused`."""
    return restore(stored.load(check_start))
