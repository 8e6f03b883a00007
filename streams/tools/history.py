"""Makes transitions of recorded events, in the same way as a worker.

Decoding, sessions and order are those of the worker.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.evaluation.stream import Stream
from streams.events.decode import BadRecord, EventDecoder
from streams.events.records import Event
from streams.learning.steps import add
from streams.sessions.step import State, state_key, step
from streams.tools.replay import Bad, Line, read

_encode = msgspec.json.Encoder().encode
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
    paths: Sequence[Path], columns: Mapping[str, str], bad: Bad, *, gap_ms: int, test: Path | None = None,
    drift: Drift | None = None, seed: int = 0, limit: int | None = None,
) -> Stream:  # fmt: skip
    """Return the transitions of all files, merged by event time.

    ``test`` is one of the files or another one; its transitions are marked. Invalid lines go to
    ``bad``. ``limit`` is the number of events to read at most.
    """
    everything = list(paths)
    if test is not None and test.resolve() not in [path.resolve() for path in paths]:
        everything.append(test)
    tests = {n for n, path in enumerate(everything) if test is not None and path.resolve() == test.resolve()}
    lines = read(everything, columns, bad)[:limit]
    if drift is not None:
        permute(lines, drift, seed)
    return _stream(lines, tests, everything, bad, gap_ms)


def permute(lines: Sequence[Line], drift: Drift, seed: int) -> None:
    """Swap the items of the later lines, in place."""
    items = sorted({str(line.event["item_id"]) for line in lines})
    rng = random.Random(seed)
    moved = rng.sample(items, round(len(items) * drift.share))
    new_ids = dict(zip(moved, rng.sample(moved, len(moved)), strict=True))
    for line in lines[int(len(lines) * drift.at) :]:
        item = str(line.event["item_id"])
        line.event["item_id"] = new_ids.get(item, item)


def _stream(lines: Iterable[Line], tests: set[int], paths: Sequence[Path], bad: Bad, gap_ms: int) -> Stream:
    decoder, states, stream = EventDecoder(), dict[bytes, State](), Stream()
    numbers = dict[tuple[bytes, int], int]()
    for offset, line in enumerate(lines):
        try:
            event = decoder.decode(line.key, _encode(line.event), topic="", partition=0, offset=offset, timestamp_ms=line.at)
        except BadRecord as error:
            bad.add(paths[line.file], line.number, f"{error.reason} {error.detail}".strip())
            continue
        assert isinstance(event, Event)
        key = state_key(event)
        result = step(states.setdefault(key, State()), event, 0, offset, line.at, gap_ms)
        if result.transition is None or (session := result.session) is None:
            continue
        add(stream.transitions, result.transition)
        stream.session.append(numbers.setdefault((key, session.first_offset), len(numbers)))
        stream.of_test_file.append(line.file in tests)
    return stream
