"""The bad-input card: each kind of bad record among good ones, through a worker that learns, on Apache Kafka.

Each is exactly one dead letter with its reason, or one of the documented acceptances, and memory and pace are unharmed.
``python -m faults.bad_input`` writes build/bad-input.json and a table; SCALE shortens the bot and the flood.
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
from support.journey import clicks
from support.oracle import UNCOMPACTED, account, in_changelog, outputs, read_topic, records_of
from support.running import WorkerProcess, fresh_settings, produce, produce_nothing, wait_until

from serving.demo.brokers import ApacheBroker
from streams.kafka.topics import create_topics
from streams.settings import Settings

ACCEPTED = "accepted"
GOOD, BACKLOGS = 2000, 3
BOT = 1_000_000
FLOOD = 200_000
FULL = 100_000
MAX_ITEMS = 5000
GROWTH_MB = 150
PACE = 0.5
"""The least share of the pace before that is left after; these machines are noisy."""

Record = tuple[bytes | None, bytes | None]


class Bad(NamedTuple):
    """A record and what must become of it: a dead letter's reason, an outcome, or `ACCEPTED`."""

    name: str
    record: Record
    becomes: str


def event(**fields: object) -> bytes:
    """A good event but for some fields."""
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
    Bad("extra fields", (KEY, event(nobody_knows=1, event_id="extra")), ACCEPTED),
    Bad("integer beyond 2^63", (KEY, event(price=2**70)), "out_of_bounds"),
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
    Bad("a day late", (KEY, event(timestamp=int(time.time() * 1000) - 86_400_000, event_id="late")), ACCEPTED),
    Bad("duplicate id, same body", (KEY, event(event_id="extra")), ACCEPTED),
    Bad("duplicate id, another body", (KEY, event(event_id="extra", item_id="b")), ACCEPTED),
]
"""The past is accepted, as a replay of old data is; late and duplicate events are accepted, and counted as such."""


def send(settings: Settings, records: Sequence[Record]) -> list[tuple[int, int]]:
    """Produce in order; where each lies."""
    producer = KafkaProducer(bootstrap_servers=settings.broker, acks="all", max_request_size=20_000_000)
    futures = [producer.send(settings.topic("events"), key=key, value=value) for key, value in records]
    producer.flush()
    placed = [future.get(30) for future in futures]
    producer.close()
    return [(place.partition, place.offset) for place in placed]


def learned(worker: WorkerProcess) -> None:
    """Wait until the learner has caught up."""
    wait_until(lambda: worker.scraped()["ouzel_learner_lag"] < 64, "all learned", 1200, every_s=0.2)


def pace(settings: Settings, worker: WorkerProcess, seed: int) -> float:
    """Events per second of backlogs of good ones, the median of a few."""
    found = []
    for number in range(BACKLOGS):
        before, began = worker.done(), time.monotonic()
        produce(settings, clicks(GOOD, users=100, seed=BACKLOGS * seed + number))
        wait_until(lambda before=before: worker.done() >= before + GOOD, "the good ones", 120, every_s=0.02)
        found.append(GOOD / (time.monotonic() - began))
        learned(worker)
    return median(found)


def fill(settings: Settings, worker: WorkerProcess, events: int) -> None:
    """As many items, as full caches and a snapshot before as after: the more items are known, the more a ranking costs."""
    before = worker.done()
    sent = produce(settings, flood_events(MAX_ITEMS + GOOD, "known")) + produce(
        settings, clicks(events + GOOD, users=1000, seed=90)
    )
    wait_until(lambda: worker.done() >= before + sent, "the caches are full", 300)
    wait_until(lambda: worker.scraped()["ouzel_vocabulary_items"] > 0.9 * MAX_ITEMS, "many items are known", 300)
    learned(worker)
    wait_until(lambda: worker.scraped()["ouzel_snapshot_timestamp_seconds"] > 0, "a snapshot")


def run(broker: str, folder: Path, scale: float) -> dict[str, Any]:
    """The whole card; ``ok`` says whether everything held."""
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
        fill(settings, worker, int(FULL * scale))
        at_first, small = pace(settings, worker, 91), worker.memory_mb()
        begun = worker.done()
        places = send(settings, [bad.record for bad in CARD])
        produce_nothing(settings, partition=0)
        bot = produce(settings, bot_events(int(BOT * scale)))
        flood = produce(settings, flood_events(int(FLOOD * scale), "made-up"))
        wanted = begun + len(CARD) + 1 + bot + flood
        wait_until(lambda: worker.done() >= wanted, "all of it", 1200, every_s=0.2)
        learned(worker)
        at_last, large = pace(settings, worker, 92), worker.memory_mb()
        counted = worker.scraped()
        assert worker.stop(20) == 0, worker.tail()
    finally:
        if worker.alive:
            worker.kill()
    rows = judge(settings, places)
    rows += [
        {"input": f"a bot with {bot} events", "found": "pace and memory below", "ok": True},
        {
            "input": f"a flood of {flood} unknown items",
            "found": f"{counted['ouzel_vocabulary_items']:.0f} items known, at most {MAX_ITEMS}",
            "ok": counted["ouzel_vocabulary_items"] <= MAX_ITEMS,
        },
        {"input": "memory", "found": f"{small:.0f} MB, then {large:.0f} MB", "ok": large - small < GROWTH_MB},
        {"input": "pace", "found": f"{at_first:.0f} events/s, then {at_last:.0f}", "ok": at_last > PACE * at_first},
        everything_else(settings),
    ]
    return {"rows": rows, "ok": all(row["ok"] for row in rows)}


def everything_else(settings: Settings) -> dict[str, Any]:
    """Whether all that was sent is accounted for by the oracle, and where not."""
    held = account(settings, records_of(settings, "events"))
    missing, _, strange = count(held, outputs(settings))
    same = in_changelog(settings) == (held.states, held.watermarks)
    found = f"outputs: {missing} missing, {strange} of nothing; states {'as' if same else 'not as'} replayed"
    return {"input": "everything else", "found": found, "ok": same and not missing and not strange}


def judge(settings: Settings, places: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """What became of each record of the card."""
    reasons: dict[tuple[int, int], list[str]] = {}
    for letter in read_topic(settings, "dead-letters"):
        told = {name: value.decode() for name, value in letter.headers}
        reasons.setdefault((int(told["partition"]), int(told["offset"])), []).append(told["reason"])
    rows = []
    for bad, place in zip(CARD, places, strict=True):
        letters = reasons.pop(place, [])
        wanted = [] if bad.becomes == ACCEPTED else [bad.becomes]
        rows.append({"input": bad.name, "found": ", ".join(letters) or ACCEPTED, "ok": letters == wanted})
    left = Counter(reason for found in reasons.values() for reason in found)
    rows.append({"input": "neither key nor value", "found": str(dict(left)), "ok": left == {"null": 1}})
    return rows


def bot_events(count: int) -> list[Record]:
    """One user, all at once."""
    now = int(time.time() * 1000)
    return [(b"bot", json.dumps({"user_id": "bot", "item_id": f"i{n % 50}", "timestamp": now}).encode()) for n in range(count)]


def flood_events(count: int, name: str) -> list[Record]:
    """Items that nobody has seen, of a few users."""
    now = int(time.time() * 1000)
    return [
        (b"f%d" % (n % 20), json.dumps({"user_id": f"f{n % 20}", "item_id": f"{name}-{n}", "timestamp": now}).encode())
        for n in range(count)
    ]


def main() -> None:
    """Run the card."""
    home, scale = os.environ.get("KAFKA_HOME"), float(os.environ.get("SCALE") or 1)
    if not home:
        sys.exit("the bad-input card needs KAFKA_HOME: a folder with Apache Kafka")
    large = {"message.max.bytes": "10000000", "replica.fetch.max.bytes": "10000000"}
    with ApacheBroker(Path(home), large | UNCOMPACTED) as broker, tempfile.TemporaryDirectory() as folder:
        told = run(broker.bootstrap, Path(folder), scale)
    Path("build").mkdir(exist_ok=True)
    Path("build/bad-input.json").write_text(json.dumps(told, indent=1) + "\n")
    table = Table("input", "found", "ok")
    for found in told["rows"]:
        table.add_row(found["input"], found["found"], str(found["ok"]))
    Console(width=110).print(table)
    sys.exit(0 if told["ok"] else 1)


if __name__ == "__main__":
    main()
