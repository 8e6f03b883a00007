"""Runs the fault card on Apache Kafka (KAFKA_HOME) and writes build/faults.json and a table.

ONLY names some faults, DELIVERY one delivery, SCALE shortens what repeats.
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

from faults import crashes, freezes, learning, load, logs, network
from faults.card import CARD, DELIVERIES, Row, Skipped
from faults.rig import Rig
from faults.verdict import verdict
from rich.console import Console
from rich.table import Table

ROWS = (crashes, freezes, network, load, learning, logs)
"""Where the card is filled."""


def run(found: Row, delivery: str, home: Path, folder: Path, scale: float) -> dict[str, Any]:
    """One fault, from an empty broker to the verdict."""
    rig = Rig(home, folder, scale, delivery=delivery, **found.options)
    with rig:
        rig.fresh_since(time.monotonic())
        rig.recoveries.clear()
        try:
            found.fault(rig)
        except Skipped as reason:
            return {"fault": found.name, "delivery": rig.delivery, "ok": True, "skipped": str(reason)}
        events = rig.finish()
        folders = [worker.settings.data_dir for worker in rig.workers]
        may_repeat = found.may_repeat and delivery == "leased"
        told = verdict(
            found.name, delivery, rig.settings, folders, events, rig.recoveries, may_repeat=may_repeat, mended=found.mended
        )
        if found.after is not None and not found.after(rig):
            told["ok"] = False
    return told | {"notes": rig.notes}


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The card as a person reads it."""
    columns = ("fault", "delivery", "events", "lost", "double_applied", "missing", "repeated", "recovery_seconds", "ok")
    made = Table(*(name.replace("_", " ") for name in columns))
    for told in rows:
        cells = [str(told.get(name, "")) for name in columns]
        made.add_row(*cells[:-1], f"skipped: {told['skipped']}" if "skipped" in told else cells[-1])
    return made


def main() -> None:
    """Run the card."""
    home, only, scale = os.environ.get("KAFKA_HOME"), os.environ.get("ONLY"), float(os.environ.get("SCALE") or 1)
    if not home:
        sys.exit("the fault card needs KAFKA_HOME: a folder with Apache Kafka")
    wanted = os.environ.get("DELIVERY")
    deliveries = [delivery for delivery in DELIVERIES if wanted in (None, "", delivery)]
    chosen = [
        (found, delivery)
        for delivery in deliveries
        for found in CARD
        if delivery in found.deliveries and (not only or found.name in only.split(","))
    ]
    if not chosen:
        sys.exit(f"no fault {only} for {wanted or 'any delivery'}: there are {', '.join(found.name for found in CARD)}")
    rows, build = list[dict[str, Any]](), Path("build")
    build.mkdir(exist_ok=True)
    for found, delivery in chosen:
        with tempfile.TemporaryDirectory(prefix="ouzel-faults-") as folder:
            try:
                rows.append(run(found, delivery, Path(home), Path(folder), scale))
            except Exception as error:
                traceback.print_exc()
                rows.append({"fault": found.name, "delivery": delivery, "ok": False, "notes": [repr(error)[:500]]})
                kept = build / f"{found.name}-{delivery}-logs"
                kept.mkdir(exist_ok=True)
                for log in Path(folder).glob("*.log"):
                    (kept / log.name).write_bytes(log.read_bytes())
        print(json.dumps(rows[-1]), flush=True)
        (build / "faults.json").write_text(json.dumps(rows, indent=1) + "\n")
    Console(width=130).print(table(rows))
    sys.exit(0 if all(told["ok"] for told in rows) else 1)


if __name__ == "__main__":
    main()
