"""The events that a run offers: real clicks, again and again, in a catalogue of the wanted size.

*More clicks*: after the last click, the clicks begin again. Each further turn has sessions of its
own ("17" becomes "17-1" in the second turn), and its times follow those of the turn before.

*More items*: the shop becomes several shops. A hash of the session's id assigns each session to one
of them, and every item of a session in shop 2 is renamed, "214" to "214~2". Sessions keep their
order of clicks, and each shop has its share of the clicks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import msgspec

from serving.evaluation.data import located
from serving.recorded import Reading, require_events
from streams.events.records import Event
from streams.settings import load_settings
from streams.tools.recorded import Line, Report, find_files, read

NONE = -1
"""The index of the next event of a session after its last one."""
TURNS_APART_MS = 60_000


class Offered(msgspec.Struct):
    """The events of a run in order: partition, key and value of the record of each.

    ``following[n]`` is the index of the next event of the session of event n, or `NONE`. The id of
    event n is its index.
    """

    partition: list[int]
    key: list[bytes]
    value: list[bytes]
    item: list[str]
    following: list[int]

    def __len__(self) -> int:
        return len(self.key)

    def save(self, path: Path) -> None:
        """Write the events to a file, for the processes of a run."""
        path.write_bytes(msgspec.msgpack.encode(self))

    @classmethod
    def load(cls, path: Path) -> Offered:
        """Read the events that `save` has written."""
        return msgspec.msgpack.decode(path.read_bytes(), type=cls)


def real_clicks(data: str) -> list[Line]:
    """The clicks of a data set in order of time: a folder, or one in ``OUZEL_TEST_DATA``."""
    lines = read(find_files([located(Path(data))]), Reading().reader(load_settings()), report := Report())
    require_events(report)
    return lines


def shops_for(clicks: Sequence[Line], items: int) -> int:
    """How many shops it takes until they have about this many items, at least one."""
    return max(round(items / len({line.event.item_id for line in clicks})), 1)


def endless(clicks: Sequence[Line], shops: int) -> Iterator[Line]:
    """The clicks as they are offered, without end."""
    span = clicks[-1].at - clicks[0].at + TURNS_APART_MS
    turn = number = 0
    while True:
        for line in clicks:
            yield Line(line.at + turn * span, 0, number, _renamed(line, turn, turn * span, number, shops))
            number += 1
        turn += 1


def single_clicks(clicks: Sequence[Line], count: int) -> list[Line]:
    """The clicks again and again, each in a session of its own."""
    return [
        Line(at, 0, n, Event(event_id=str(n), session_id=f"s{n}", item_id=line.event.item_id, timestamp=at))
        for n in range(count)
        for line in (clicks[n % len(clicks)],)
        for at in (clicks[0].at + n,)
    ]


def catalogue(clicks: Sequence[Line], shops: int) -> list[Line]:
    """One click on each item of each shop, in a session of its own, before the first real click.

    A model that has learned them knows the whole catalogue and nothing about what follows what.
    """
    items = sorted({line.event.item_id for line in clicks})
    names = [_in_shop(item, shop) for shop in range(shops) for item in items]
    first = clicks[0].at - len(names) - 1
    return [
        Line(first + n, 0, n, Event(event_id=f"c{n}", session_id=f"c{n}", item_id=name, timestamp=first + n))
        for n, name in enumerate(names)
    ]


def offered(lines: Sequence[Line], partitions: int) -> Offered:
    """The records of these events."""
    encode = msgspec.json.Encoder().encode
    result, last = Offered([], [], [], [], []), dict[bytes, int]()
    for n, line in enumerate(lines):
        event, key = line.event, line.key
        fields = {"event_id": event.event_id, "session_id": event.session_id, "item_id": event.item_id, "timestamp": line.at}
        result.partition.append(crc32(key) % partitions)
        result.key.append(key)
        result.value.append(encode({**fields, "event_type": event.event_type}))
        result.item.append(event.item_id)
        result.following.append(NONE)
        if key in last:
            result.following[last[key]] = n
        last[key] = n
    return result


def _renamed(line: Line, turn: int, shift: int, number: int, shops: int) -> Event:
    event = line.event
    session = event.session_id or event.user_id or ""
    session = f"{session}-{turn}" if turn else session
    item = _in_shop(event.item_id, crc32(session.encode()) % shops)
    return Event(event_id=str(number), session_id=session, item_id=item, timestamp=line.at + shift, event_type="click")


def _in_shop(item: str, shop: int) -> str:
    return f"{item}~{shop}" if shop else item
