"""The bad-input card: every kind of bad record, through a worker that learns, on an Apache Kafka.

Each record must become one dead letter with its reason, or be accepted as documented. Neither
memory nor pace may suffer. ``python -m faults.bad_input`` prints the card and writes
build/bad-input.json. SCALE shortens the bot and the flood.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from faults.verdict import count
from kafka import KafkaProducer
from rich.console import Console
from rich.table import Table
from support.damage.hostile import hostile
from support.damage.hostile import send as send_hostile
from support.journey import clicks
from support.oracle import UNCOMPACTED, Place, account, in_changelog, outputs, read_topic, records_of
from support.processes.running import WorkerProcess, fresh_settings, produce, produce_compressed, produce_nothing, wait_until

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics
from streams.settings import Settings

ACCEPTED = "accepted"
GOOD, BACKLOGS = 2000, 3
BOT = 1_000_000
FLOOD = 200_000
FULL = 100_000
CODECS, COMPRESSED = ("gzip", "snappy", "lz4", "zstd"), 200
MAX_ITEMS = 5000
GROWTH_MB = 150
PACE = 0.5
"""The least ratio of the pace after the bad input to the pace before; these machines are noisy."""

Record = tuple[bytes | None, bytes | None]


class Bad(NamedTuple):
    """A record and what must become of it: the reason of its dead letter, or `ACCEPTED`."""

    name: str
    record: Record
    becomes: str


def event(**fields: object) -> bytes:
    """A valid event, with some fields changed or added."""
    return json.dumps({"item_id": "a", "user_id": "bad"} | fields).encode()


KEY = b"bad"
DEEP = b"[" * 100_000 + b"]" * 100_000
CARD = [
    Bad("empty", (KEY, b""), "empty"),
    Bad("json null", (KEY, b"null"), "not_an_object"),
    Bad("not UTF-8", (KEY, b'{"item_id": "\xff\xfe", "user_id": "bad"}'), "not_utf8"),
    Bad("truncated JSON", (KEY, b'{"item_id": "a", "user'), "invalid_json"),
    Bad("100k nesting", (KEY, b'{"item_id": "a", "user_id": "bad", "context": ' + DEEP + b"}"), "too_deep"),
    Bad("5 MB", (KEY, event(item_id="x" * 5_000_000)), "too_large"),
    Bad("NaN", (KEY, b'{"item_id": "a", "user_id": "bad", "price": NaN}'), "invalid_json"),
    Bad("Infinity", (KEY, b'{"item_id": "a", "user_id": "bad", "price": Infinity}'), "invalid_json"),
    Bad("1e999", (KEY, b'{"item_id": "a", "user_id": "bad", "price": 1e999}'), "out_of_bounds"),
    Bad("wrong types", (KEY, event(item_id=[1], user_id={})), "wrong_type"),
    Bad("missing fields", (KEY, b'{"user_id": "bad"}'), "missing_field"),
    Bad("extra fields", (KEY, event(unknown_field=1, event_id="extra")), ACCEPTED),
    Bad("a price beyond 2^63", (KEY, event(price=2**70, event_id="price")), ACCEPTED),
    Bad("optional fields of wrong types", (KEY, event(price="cheap", properties=[1], session_id={}, event_id="odd")), ACCEPTED),
    Bad("numbers as text", (KEY, event(price="1,299.00", quantity="2", event_id="text")), ACCEPTED),
    Bad("an ignored event type", (KEY, event(event_type="identify")), ACCEPTED),
    Bad("an unknown event type", (KEY, event(event_type="dance")), "unknown_event_type"),
    Bad("an order of three", (KEY, b'{"userId": "bad", "event": "purchase", "items": ["x", "y", "z"]}'), ACCEPTED),
    Bad("item id beyond 2^63", (KEY, event(item_id=2**63 + 1, event_id="large")), ACCEPTED),
    Bad("timestamp 0", (KEY, event(timestamp=0, event_id="zero")), ACCEPTED),
    Bad("timestamp negative", (KEY, event(timestamp=-5)), "out_of_bounds"),
    Bad("year 9999", (KEY, event(timestamp="9999-01-01T00:00:00Z")), "timestamp_in_future"),
    Bad("10 kB id", (KEY, event(user_id="x" * 10_000)), "out_of_bounds"),
    Bad("control characters", (KEY, event(item_id="a\x00b")), "out_of_bounds"),
    Bad("a pickle", (KEY, pickle.dumps({"item_id": "a", "user_id": "bad"})), "not_utf8"),
    Bad("a __faust payload", (KEY, event(__faust={"ns": "os.system"}, event_id="faust")), ACCEPTED),
    Bad("null key", (None, event(event_id="nokey")), ACCEPTED),
    Bad("another's key", (b"somebody", event(event_id="otherkey")), ACCEPTED),
    Bad("the reserved key", (b"__popular__", event(event_id="reserved")), ACCEPTED),
    Bad("a key of a megabyte", (b"k" * 1_040_000, event(event_id="longkey")), ACCEPTED),
    Bad("400,000 products", (KEY, b'{"user_id": "bad", "items": [' + b"1," * 400_000 + b"1]}"), "out_of_bounds"),
    Bad("100,000 events", (KEY, b'{"user_id": "bad", "events": [' + b"{}," * 100_000 + b"{}]}"), "out_of_bounds"),
    Bad("a day late", (KEY, event(timestamp=int(time.time() * 1000) - 86_400_000, event_id="late")), ACCEPTED),
    Bad("duplicate id, same body", (KEY, event(event_id="extra")), ACCEPTED),
    Bad("duplicate id, another body", (KEY, event(event_id="extra", item_id="b")), ACCEPTED),
]
"""Old timestamps are accepted, so that old data can be replayed. Late and duplicate events are
accepted, and counted as late and duplicate; the same id with another item is another event. An
optional field that cannot be read is left out."""


def send(settings: Settings, records: Sequence[Record]) -> list[tuple[int, int]]:
    """Produce the records in order, and return the partition and offset of each."""
    producer = KafkaProducer(bootstrap_servers=settings.broker, acks="all", max_request_size=20_000_000)
    futures = [producer.send(settings.topic("events"), key=key, value=value) for key, value in records]
    producer.flush()
    sent = [future.get(30) for future in futures]
    producer.close()
    return [(metadata.partition, metadata.offset) for metadata in sent]


def learned(worker: WorkerProcess) -> None:
    """Wait until the learner has caught up."""
    wait_until(lambda: worker.scraped()["ouzel_learner_lag"] < 64, "the learner has caught up", 1200, every_s=0.2)


def pace(settings: Settings, worker: WorkerProcess, seed: int) -> float:
    """Events per second on backlogs of good events, the median of a few."""
    return median(backlog_rate(settings, worker, BACKLOGS * seed + number) for number in range(BACKLOGS))


def backlog_rate(settings: Settings, worker: WorkerProcess, seed: int) -> float:
    """Events per second on one backlog; returns once it is also learned."""
    before, began = worker.done(), time.monotonic()
    produce(settings, clicks(GOOD, users=100, seed=seed))
    wait_until(lambda: worker.done() >= before + GOOD, "the good events done", 120, every_s=0.02)
    took = time.monotonic() - began
    learned(worker)
    return GOOD / took


def fill(settings: Settings, worker: WorkerProcess, events: int) -> None:
    """Fill the vocabulary and the caches and wait for a snapshot, before the pace is measured.

    The cost of a ranking grows with the known items, so there must be as many before as after.
    """
    before = worker.done()
    sent = produce(settings, flood_events(MAX_ITEMS + GOOD, "known")) + produce(
        settings, clicks(events + GOOD, users=1000, seed=90)
    )
    wait_until(lambda: worker.done() >= before + sent, "the caches full", 300)
    wait_until(lambda: worker.scraped()["ouzel_vocabulary_items"] > 0.9 * MAX_ITEMS, "a full vocabulary", 300)
    learned(worker)
    wait_until(lambda: worker.scraped()["ouzel_snapshot_timestamp_seconds"] > 0, "a snapshot")


def run(broker: str, folder: Path, scale: float, *, timed: bool = True) -> dict[str, Any]:
    """Run the whole card. Returns its ``rows``, and ``ok`` if every row is ok.

    Without ``timed``, the pace is not measured: it means nothing while others use the machine.
    """
    changes: dict[str, Any] = {
        "model": "hybrid",
        "encoder": "recency",
        "profile": "fast",
        "max_items": MAX_ITEMS,
        "snapshot_every_s": 10.0,
    }
    settings = fresh_settings(broker, folder, **changes)
    create_topics(settings)
    worker = WorkerProcess(settings, folder / "worker.log", OUZEL_MAX_ITEMS=str(MAX_ITEMS)).start()
    try:
        worker.wait_ready()
        if timed:
            fill(settings, worker, int(FULL * scale))
        paces = [pace(settings, worker, 91)] if timed else []
        small = worker.memory_mb()
        begun = worker.done()
        places = send(settings, [bad.record for bad in CARD])
        produce_nothing(settings, partition=0)
        foreign = send_hostile(settings, hostile(settings))
        compressed = sum(
            produce_compressed(settings, clicks(COMPRESSED, users=20, seed=80 + number), codec)
            for number, codec in enumerate(CODECS)
        )
        bot = produce(settings, bot_events(int(BOT * scale)))
        flood = produce(settings, flood_events(int(FLOOD * scale), "made-up"))
        wanted = begun + len(CARD) + 1 + compressed + bot + flood
        wait_until(lambda: worker.done() >= wanted, "all bad input done", 1200, every_s=0.2)
        learned(worker)
        paces += [pace(settings, worker, 92)] if timed else []
        large = worker.memory_mb()
        counted = worker.scraped()
        assert worker.stop(20) == 0, worker.tail()
    finally:
        if worker.alive:
            worker.kill()
    rows = judge(settings, places, foreign)
    rows += [
        {"input": f"{compressed} events in batches of {', '.join(CODECS)}", "result": "see everything else", "ok": True},
        refusals(counted, foreign),
        {"input": f"a bot with {bot} events", "result": "see pace and memory", "ok": True},
        {
            "input": f"a flood of {flood} unknown items",
            "result": f"{counted['ouzel_vocabulary_items']:.0f} items known, at most {MAX_ITEMS} allowed",
            "ok": counted["ouzel_vocabulary_items"] <= MAX_ITEMS,
        },
        {"input": "memory", "result": f"{small:.0f} MB before, {large:.0f} MB after", "ok": large - small < GROWTH_MB},
        everything_else(settings, foreign),
    ]
    if timed:
        at_first, at_last = paces
        result = f"{at_first:.0f} events/s before, {at_last:.0f} after"
        rows.append({"input": "pace", "result": result, "ok": at_last > PACE * at_first})
    return {"rows": rows, "ok": all(row["ok"] for row in rows)}


def refusals(counted: dict[str, float], foreign: frozenset[Place]) -> dict[str, Any]:
    """The row of the records that nobody should write to Ouzel's own topics. They are counted."""
    names = ("ouzel_refused_transitions_total", "ouzel_refused_updates_total", "ouzel_refused_elections_total")
    refused = {name: counted.get(name, 0) for name in names}
    result = ", ".join(f"{name.split('_')[2]} {number:.0f}" for name, number in refused.items())
    return {
        "input": f"{len(foreign)} foreign records on our own topics",
        "result": f"refused: {result}",
        "ok": all(refused.values()),
    }


def everything_else(settings: Settings, foreign: frozenset[Place]) -> dict[str, Any]:
    """The row that compares all outputs and states with the oracle."""
    expected = account(settings, records_of(settings, "events"))
    missing, _, unexpected = count(expected, outputs(settings, foreign))
    same = in_changelog(settings, foreign) == (expected.states, expected.watermarks)
    result = f"outputs: {missing} missing, {unexpected} unexpected; states {'equal' if same else 'differ from'} the oracle's"
    return {"input": "everything else", "result": result, "ok": same and not missing and not unexpected}


def judge(settings: Settings, places: Sequence[tuple[int, int]], foreign: frozenset[Place]) -> list[dict[str, Any]]:
    """A row for each record of the card: what became of it."""
    reasons: dict[tuple[int, int], list[str]] = {}
    for letter in read_topic(settings, "dead-letters"):
        if ("dead-letters", letter.partition, letter.offset) in foreign:
            continue
        headers = {name: value.decode() for name, value in letter.headers}
        reasons.setdefault((int(headers["partition"]), int(headers["offset"])), []).append(headers["reason"])
    rows = []
    for bad, place in zip(CARD, places, strict=True):
        letters = reasons.pop(place, [])
        wanted = [] if bad.becomes == ACCEPTED else [bad.becomes]
        rows.append({"input": bad.name, "result": ", ".join(letters) or ACCEPTED, "ok": letters == wanted})
    others = Counter(reason for of_place in reasons.values() for reason in of_place)
    rows.append({"input": "neither key nor value", "result": str(dict(others)), "ok": others == {"null": 1}})
    return rows


def bot_events(count: int) -> list[Record]:
    """Events of one user, all at the same time."""
    now = int(time.time() * 1000)
    return [(b"bot", json.dumps({"user_id": "bot", "item_id": f"i{n % 50}", "timestamp": now}).encode()) for n in range(count)]


def flood_events(count: int, name: str) -> list[Record]:
    """Events of a few users, each with a new item."""
    now = int(time.time() * 1000)
    return [
        (b"f%d" % (n % 20), json.dumps({"user_id": f"f{n % 20}", "item_id": f"{name}-{n}", "timestamp": now}).encode())
        for n in range(count)
    ]


def main() -> None:
    """Run the card. The exit code is 1 if a row is not ok."""
    home, scale = os.environ.get("KAFKA_HOME"), float(os.environ.get("SCALE") or 1)
    if not home:
        sys.exit("KAFKA_HOME is not set: the bad-input card needs a folder with Apache Kafka")
    large = {"message.max.bytes": "10000000", "replica.fetch.max.bytes": "10000000"}
    with ApacheBroker(Path(home), large | UNCOMPACTED) as broker, tempfile.TemporaryDirectory() as folder:
        card = run(broker.bootstrap, Path(folder), scale)
    Path("build").mkdir(exist_ok=True)
    Path("build/bad-input.json").write_text(json.dumps(card, indent=1) + "\n")
    table = Table("input", "result", "ok")
    for row in card["rows"]:
        table.add_row(row["input"], row["result"], str(row["ok"]))
    Console(width=110).print(table)
    sys.exit(0 if card["ok"] else 1)


if __name__ == "__main__":
    main()
