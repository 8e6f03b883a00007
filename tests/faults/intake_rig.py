"""The rig with intakes: they bring the load from topics of other systems to the events."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from faults.rig import DONE_WITHIN_S, FRESH_WITHIN_S, Rig
from faults.source_verdict import Rule, required, way
from faults.traffic import Load, Sent
from support.oracle import records_of
from support.processes.intake_process import IntakeProcess, Offsets, create_source, positions, shop_event, shop_sources
from support.processes.intake_process import Sent as SourceRecord
from support.processes.intake_process import send as send_to_source
from support.processes.running import WorkerProcess, wait_until

from streams.settings import Settings

PARTITIONS = {"clicks": 3, "carts": 2, "orders": 2, "accounts": 2}
"""The sources without their prefix. In `accounts`, the key is the user, and null deletes them."""
RULES = {
    "clicks": Rule("item_id", "view"),
    "carts": Rule("item_id", "add_to_cart"),
    "orders": Rule("article", "purchase"),
    "accounts": Rule("item_id", "view", deletes=True),
}


class ShopLoad(Load):
    """Produces events of a shop to the sources. Clicks have ids, so the `Tail` knows them."""

    def __init__(self, settings: Settings, rate: float, prefix: str, users: int) -> None:
        super().__init__(settings, rate)
        self._prefix, self._users, self._rng = prefix, users, random.Random(1)

    def _record(self, number: int) -> Sent:
        name, key, fields = shop_event(self._rng, self._users, number, int(time.time() * 1000))
        if name == "clicks":
            fields["event_id"] = f"n{number}"
        return f"{self._prefix}{name}", key, json.dumps(fields).encode()


class IntakeRig(Rig):
    """A `Rig` with ``intakes`` beside the workers. ``sabotage`` is built into the first intake.

    The load is of this many ``users``.
    """

    def __init__(self, home: Path, folder: Path, scale: float, *, users: int = 400, sabotage: str = "", **options: Any) -> None:
        super().__init__(home, folder, scale, **options)
        self._users, self._sabotage_of_intake = users, sabotage
        self.intakes: list[IntakeProcess] = []
        self.bad: set[bytes] = set()
        """The values sent to sources that are no events."""
        self._beside = 0

    def source(self, name: str) -> str:
        """The full name of a source."""
        return f"shop-{self.settings.topic_prefix}{name}"

    @property
    def processes(self) -> Sequence[WorkerProcess]:
        return [*self.workers, *self.intakes]

    def _new_load(self) -> Load:
        prefix = self.source("")
        for name, partitions in PARTITIONS.items():
            create_source(self.settings, self.source(name), partitions)
        sources = [*shop_sources(prefix), {"topic": self.source("accounts"), "tombstones": "delete"}]
        for number, sabotage in enumerate((self._sabotage_of_intake, "")):
            settings = self.settings.model_copy(update={"data_dir": self.folder / f"intake-{number}" / "data"})
            module = "faults.saboteur" if sabotage else "serving.cli"
            log = self.folder / f"intake-{number}.log"
            self.intakes.append(IntakeProcess(settings, log, sources, module=module, SABOTAGE=sabotage))
        for intake in self.intakes:
            intake.start()
        for intake in self.intakes:
            intake.wait_ready()
        return ShopLoad(self.settings, self.rate, prefix, self._users)

    def send(self, name: str, records: Iterable[SourceRecord]) -> None:
        """Send records to a source, beside the load."""
        self._beside += send_to_source(self.settings.broker, self.source(name), records)

    def send_bad(self, name: str, values: Iterable[bytes]) -> None:
        """Send records to a source that are no events, with neither order nor keys."""
        values = list(values)
        self.bad.update(values)
        self.send(name, [(None, value, int(time.time() * 1000)) for value in values])

    def count_batch(self) -> None:
        """Count one more record beside the load, which is a batch that was sent byte by byte."""
        self._beside += 1

    def ends(self, isolation_level: str = "read_committed") -> dict[int, int]:
        """The end of the last event that can be read, for each partition of the events.

        After it there may be markers of transactions. A killed intake leaves one open, which Kafka
        ends later.
        """
        wait_until(self._is_stable, "no transaction is open", 60, every_s=1)
        ends = dict.fromkeys(range(self.settings.partitions), 0)
        for record in records_of(self.settings, "events"):
            ends[record.partition] = record.offset + 1
        return ends

    def _is_stable(self) -> bool:
        return super().ends("read_committed") == super().ends("read_uncommitted")

    def _positions(self) -> tuple[Offsets, Offsets]:
        return positions(self.settings, f"{self.settings.app_id}-intake", [self.source(name) for name in PARTITIONS])

    def fresh_since(self, began: float) -> float:
        """Wait also until each source partition is read as far as it is filled now."""
        _, ends = self._positions()
        super().fresh_since(began)
        wait_until(lambda: _reach(self._positions()[0], ends), "every source read", FRESH_WITHIN_S, every_s=0.2)
        self.recoveries[-1] = took = time.monotonic() - began
        return took

    def _all_read(self) -> bool:
        self.keep_alive()
        return _reach(*self._positions())

    def finish(self, stuck_after_s: float = math.inf) -> int:
        """End the load, stop the intakes once they have read all of it, then do as `Rig.finish`."""
        self.load.finish()
        wait_until(self._all_read, "all records of the sources committed", DONE_WITHIN_S, every_s=1)
        for intake in self.intakes:
            code = intake.stop(20)
            assert code == 0, intake.tail()
        self.intakes = []
        return super().finish(stuck_after_s) + self._beside

    def judge(self, fault: str, events: int, *, may_repeat: bool, rolled_back: bool = False) -> dict[str, Any]:
        """The verdict on the whole way, from the sources to the rankings.

        ``events`` is the number of records that were sent to the sources. The intake may write an
        event again where outputs may repeat, if the worker then ignores it.
        """
        wanted = required(self.settings, {self.source(name): rule for name, rule in RULES.items()}, self.bad)
        self.source_letters = frozenset(wanted.letters)
        written = sum(1 for _ in records_of(self.settings, "events"))
        result = super().judge(fault, written, may_repeat=may_repeat, rolled_back=rolled_back)
        found = way(self.settings, wanted)
        lost = found.lost + abs(events - wanted.records)
        self.notes.append(
            f"{wanted.records} source records, {len(wanted.letters)} dead letters, {wanted.deletions.total()} deletions; "
            f"written again {found.written_again}, out of order {found.disordered}"
        )
        return result | {
            "events": len(wanted.events),
            "lost": result["lost"] + lost,
            "double_applied": result["double_applied"] + found.doubled,
            "missing": result["missing"] + found.unranked,
            "repeated": result["repeated"],
            "written_again": found.written_again,
            "ok": result["ok"]
            and not (lost or found.doubled or found.unranked or found.disordered)
            and (may_repeat or not found.written_again),
        }


def _reach(offsets: Offsets, ends: Offsets) -> bool:
    return all(offsets[tp] >= end for tp, end in ends.items())
