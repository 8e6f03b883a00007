"""Every reader of every topic, by the function that its consumer calls, with a record it accepts.

`INPUTS` is the table: a topic that is not in it fails a test.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from support.damage.mutations import to_json, to_msgpack
from support.inputs.intake_reader import Intake
from support.inputs.records import (
    EVENT,
    HYBRID,
    ITEM,
    NEWER,
    RANKING,
    SESSION,
    TRANSITION,
    as_json,
    as_msgpack,
    record,
    update,
)
from support.inputs.serving_readers import ServedTransitions, Serving, Snapshots, Tally, Tool
from support.inputs.worker_readers import Counting, Election, Journey, Learning, Parameters, Reader, Recovered, WorkerItems

from serving.commands import dead_letters, watch
from serving.commands.model import _note
from streams.events.bounds import BadRecord
from streams.events.catalogue import Catalogue
from streams.events.dead_letter import dead_letter
from streams.sessions.deletion import pack_marker
from streams.sessions.step import pack
from streams.sessions.store import WATERMARK, removed, watermark_value
from streams.wire.record import Record


class Input(NamedTuple):
    """A reader of a topic, and a record that it accepts.

    ``topic`` is without its prefix. ``tree`` is the decoded value of the record, and ``encode``
    encodes it.
    """

    topic: str
    reader: str
    open: Callable[[Path], Reader]
    valid: Record
    tree: Any = None
    encode: Callable[[Any], bytes] = to_json

    @property
    def name(self) -> str:
        """The name of the test case."""
        return f"{self.topic}, {self.reader}"


def _read_ranking(each: Record) -> None:
    recommendation = watch._recommendation(each.value)
    if recommendation is not None:
        watch.in_words(recommendation, Catalogue(), 1.0)


def _state(tree: Any) -> bytes:
    return (3).to_bytes(8, "big") + to_msgpack(tree)


EVENTS = record("events", b"ann", to_json(EVENT))
ITEMS = record("items", b"mug", to_json(ITEM))
TRANSITIONS = record("transitions", None, msgspec.json.encode(TRANSITION))
RANKINGS = record("recommendations", b"ann", msgspec.json.encode(RANKING))
LETTER = dead_letter(EVENTS, BadRecord("invalid_json", "a detail"), 900_000)
LETTERS = record("dead-letters", *LETTER)
UPDATE = update()
UPDATES = record("model-updates", b"dense", UPDATE)
MANIFEST, MANIFEST_TREE = record("model", *NEWER[1]), msgspec.json.decode(NEWER[1][1])
STATE = pack(SESSION, 3)
STATES, STATE_TREE = record("sessions-changelog", b"u:ann", STATE), as_msgpack(STATE[8:])
TOMBSTONE = removed(b"u:ann", 3)

INPUTS = [
    Input("events", "worker", lambda _: Journey(), EVENTS, EVENT),
    Input("events", "serve", lambda _: Serving("events"), EVENTS, EVENT),
    Input("events", "intake", lambda _: Intake(), EVENTS, EVENT),
    Input("events", "demo", lambda _: Tally("events"), EVENTS, EVENT),
    Input("items", "worker", WorkerItems, ITEMS, ITEM),
    Input("items", "serve", lambda _: Serving("items"), ITEMS, ITEM),
    Input("items", "demo", lambda _: Tally("items"), ITEMS, ITEM),
    Input("transitions", "counts", lambda _: Counting("markov"), TRANSITIONS, as_json(TRANSITION)),
    Input("transitions", "learner", lambda _: Learning("hybrid", **HYBRID), TRANSITIONS, as_json(TRANSITION)),
    Input("transitions", "serve", lambda _: ServedTransitions(), TRANSITIONS, as_json(TRANSITION)),
    Input("transitions", "demo", lambda _: Tally("transitions"), TRANSITIONS, as_json(TRANSITION)),
    Input("transitions", "model import", lambda _: Tool(lambda each: _note({}, each)), TRANSITIONS, as_json(TRANSITION)),
    Input("model-updates", "worker", lambda _: Parameters(), UPDATES, as_msgpack(UPDATE), to_msgpack),
    Input("model", "worker", lambda _: Snapshots(served=False), MANIFEST, MANIFEST_TREE),
    Input("model", "serve", lambda _: Snapshots(served=True), MANIFEST, MANIFEST_TREE),
    Input("model", "a chunk", lambda _: Snapshots(served=False), record("model", *NEWER[0][0])),
    Input("sessions-changelog", "a state", Recovered, STATES, STATE_TREE, _state),
    Input("sessions-changelog", "a marker", Recovered, record("sessions-changelog", b"d:1234567890123456", pack_marker(5, 3))),
    Input("sessions-changelog", "a tombstone", Recovered, record("sessions-changelog", *TOMBSTONE)),
    Input("sessions-changelog", "the watermark", Recovered, record("sessions-changelog", WATERMARK, watermark_value(7))),
    Input("recommendations", "serve", lambda _: Serving("recommendations"), RANKINGS, as_json(RANKING)),
    Input("recommendations", "demo", lambda _: Tally("recommendations"), RANKINGS, as_json(RANKING)),
    Input("recommendations", "watch", lambda _: Tool(_read_ranking), RANKINGS, as_json(RANKING)),
    Input("dead-letters", "dead-letters list", lambda _: Tool(lambda each: dead_letters.print_letters([each], set())), LETTERS),
    Input("learner", "worker", lambda _: Election(), record("learner", None, b"x")),
]  # fmt: skip
