"""JSON Schemas of the records on Ouzel's topics: `python -m streams.schemas FOLDER` writes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from streams.records import Event, Item, Recommendation, Transition

RECORDS = {"event": Event, "item": Item, "recommendation": Recommendation, "transition": Transition}


def schemas() -> dict[str, str]:
    """File name and contents of each schema."""
    return {f"{name}.json": json.dumps(msgspec.json.schema(record), indent=2) + "\n" for name, record in RECORDS.items()}


if __name__ == "__main__":
    for name, text in schemas().items():
        Path(sys.argv[1], name).write_text(text)
