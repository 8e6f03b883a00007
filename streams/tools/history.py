"""Makes transitions of recorded events, in the same way as a worker.

Decoding, sessions and order are those of the worker.
"""

from __future__ import annotations

import random
import re
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from models.evaluation.stream import Stream
from streams.learning.steps import add
from streams.sessions.step import Limits, Source, State, state_key, step
from streams.tools.recorded import Line, Reader, Report, read

_DRIFT = re.compile(r"permute(?::(?P<share>0?\.\d+|1(?:\.0*)?))?@(?P<at>0?\.\d+)")


class Drift(NamedTuple):
    """A sudden change: after the share ``at`` of the events, a ``share`` of the items swap ids."""

    share: float
    at: float

    @classmethod
    def parse(cls, text: str) -> Drift:
        """Read a drift as ``permute@0.5`` or ``permute:0.3@0.5``. Raises ``ValueError``."""
        match = _DRIFT.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is not a drift; examples are permute@0.5 and permute:0.3@0.5")
        return cls(float(match["share"] or 1), float(match["at"]))


def read_stream(
    paths: Sequence[Path], reader: Reader, report: Report, *, limits: Limits, test: Path | None = None,
    drift: Drift | None = None, seed: int = 0, limit: int | None = None,
) -> Stream:  # fmt: skip
    """Return the transitions of all files, merged by event time.

    ``test`` is one of the files or another one; its transitions are marked. ``limit`` is the
    number of events to read at most.
    """
    everything = list(paths)
    if test is not None and test.resolve() not in [path.resolve() for path in paths]:
        everything.append(test)
    tests = {n for n, path in enumerate(everything) if test is not None and path.resolve() == test.resolve()}
    lines = read(everything, reader, report)[:limit]
    if drift is not None:
        permute(lines, drift, seed)
    return stream_of(lines, tests, limits)


def permute(lines: Sequence[Line], drift: Drift, seed: int) -> None:
    """Swap the items of the later lines, in place."""
    items = sorted({line.event.item_id for line in lines})
    rng = random.Random(seed)
    moved = rng.sample(items, round(len(items) * drift.share))
    new_ids = dict(zip(moved, rng.sample(moved, len(moved)), strict=True))
    for line in lines[int(len(lines) * drift.at) :]:
        item = line.event.item_id
        line.event.item_id = new_ids.get(item, item)


def stream_of(lines: Iterable[Line], tests: Container[int], limits: Limits) -> Stream:
    """Return the transitions of these events, which are in order. ``tests`` are the test files."""
    states, stream = dict[bytes, State](), Stream()
    numbers = dict[tuple[bytes, int], int]()
    for offset, line in enumerate(lines):
        event, key = line.event, state_key(line.event)
        result = step(states.setdefault(key, State()), event, Source(0, offset, line.at), limits)
        if result.transition is None or (session := result.session) is None:
            continue
        add(stream.transitions, result.transition)
        stream.session.append(numbers.setdefault((key, session.first_offset), len(numbers)))
        stream.of_test_file.append(line.file in tests)
    return stream
