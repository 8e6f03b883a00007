"""Runs the fault card on an Apache Kafka (KAFKA_HOME), prints it, and writes build/faults.json.

ONLY chooses faults by name, separated by commas; DELIVERY chooses one delivery; SCALE shortens the
faults that repeat.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults import crashes, freezes, intakes, learning, load, logs, network, trainers
from faults.card import CARD, DELIVERIES, Row, Skipped
from rich.console import Console
from rich.table import Table

ROWS = (crashes, freezes, network, load, learning, trainers, logs, intakes)
"""The modules whose import fills the card."""
COLUMNS = {
    "fault": "fault",
    "delivery": "delivery",
    "events": "events",
    "lost": "lost",
    "double_applied": "applied twice",
    "missing": "missing",
    "repeated": "repeated",
    "recovery_seconds": "fresh again, s",
    "ok": "ok",
}
"""The columns of the printed card: key of a verdict, title."""


def run(row: Row, delivery: str, home: Path, folder: Path, scale: float, **options: Any) -> dict[str, Any]:
    """Run one fault, from an empty broker to the verdict. ``options`` go to the rig, too."""
    rig = row.rig(home, folder, scale, delivery=delivery, **options | row.options)
    with rig:
        rig.fresh_since(time.monotonic())
        rig.recoveries.clear()
        try:
            row.fault(rig)
        except Skipped as reason:
            return {"fault": row.name, "delivery": rig.delivery, "ok": True, "skipped": str(reason)}
        may_repeat = row.may_repeat and delivery == "leased"
        result = rig.judge(row.name, rig.finish(), may_repeat=may_repeat, rolled_back=row.rolled_back)
        if row.after is not None and not row.after(rig):
            result["ok"] = False
    return result | {"notes": rig.notes}


def table(results: Sequence[dict[str, Any]]) -> Table:
    """The card as it is printed."""
    card = Table(*COLUMNS.values())
    for result in results:
        cells = [str(result.get(key, "")) for key in COLUMNS]
        card.add_row(*cells[:-1], f"skipped: {result['skipped']}" if "skipped" in result else cells[-1])
    return card


def main() -> None:
    """Run the chosen rows. The exit code is 1 if one of them is not ok."""
    home, only, scale = os.environ.get("KAFKA_HOME"), os.environ.get("ONLY"), float(os.environ.get("SCALE") or 1)
    if not home:
        sys.exit("KAFKA_HOME is not set: the fault card needs a folder with Apache Kafka")
    wanted = os.environ.get("DELIVERY")
    deliveries = [delivery for delivery in DELIVERIES if wanted in (None, "", delivery)]
    chosen = [
        (row, delivery)
        for delivery in deliveries
        for row in CARD
        if delivery in row.deliveries and (not only or row.name in only.split(","))
    ]
    if not chosen:
        names = ", ".join(row.name for row in CARD)
        sys.exit(f"no fault is named {only} for delivery {wanted or 'leased or exactly_once'}; choose from: {names}")
    results, build = list[dict[str, Any]](), Path("build")
    build.mkdir(exist_ok=True)
    for row, delivery in chosen:
        with tempfile.TemporaryDirectory(prefix="ouzel-faults-") as folder:
            try:
                results.append(run(row, delivery, Path(home), Path(folder), scale))
            except Exception as error:
                traceback.print_exc()
                results.append({"fault": row.name, "delivery": delivery, "ok": False, "notes": [repr(error)[:500]]})
                kept = build / f"{row.name}-{delivery}-logs"
                kept.mkdir(exist_ok=True)
                for log in Path(folder).glob("*.log"):
                    (kept / log.name).write_bytes(log.read_bytes())
        print(json.dumps(results[-1]), flush=True)
        (build / "faults.json").write_text(json.dumps(results, indent=1) + "\n")
    Console(width=130).print(table(results))
    sys.exit(0 if all(result["ok"] for result in results) else 1)


if __name__ == "__main__":
    main()
