"""What the measurements share: the broker, the events of each catalogue, and the results so far."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from bench.end_to_end.offline import Reference, prepared_model, save_model
from bench.end_to_end.rig import PARTITIONS, Deployment
from bench.end_to_end.stream import Offered, catalogue, endless, offered, real_clicks, shops_for
from bench.end_to_end.windows import Places

from serving.demo.brokers import ApacheBroker
from streams.settings import Settings
from streams.tools.recorded import Line

DATA = "rsc15"
MOST_EVENTS, FEWEST_EVENTS = 600_000, 60_000
"""Events of one catalogue at full length, a minute at 10,000 events/s; and at any length."""
OWN_ITEMS = 3_000
"""About as many items are in the real clicks, so that a catalogue of this size is the real one."""
SHORTEST_S = 4.0


class Catalogue:
    """The events of one size of catalogue, on disk for the processes of the runs.

    If the catalogue is larger than that of the real clicks, workers start with a model that knows
    every item, because a minute of events would not contain them all.
    """

    def __init__(self, clicks: list[Line], items: int, events: int, folder: Path) -> None:
        shops = shops_for(clicks, items)
        self.items = shops * len({line.event.item_id for line in clicks})
        self.path, self.model = folder / f"events-{items}.msgpack", None if items <= OWN_ITEMS else folder / f"model-{items}"
        self._lines = list(islice(endless(clicks, shops), events))
        self.settings = Settings(model="hybrid")
        self.offered: Offered = offered(self._lines, PARTITIONS)
        self.offered.save(self.path)
        model = prepared_model(self.settings, catalogue(clicks, shops) if self.model else [])
        if self.model is not None:
            save_model(self.settings, model, self.model)
        self._reference = Reference(self.settings, model, self._lines, self.offered)

    def __len__(self) -> int:
        return len(self.offered)

    def places(self, events: int) -> Places:
        """The places that the model gives the first events without lag; see `offline`."""
        return self._reference.places(events)


class Bench:
    """The context of the measurements. ``scale`` shortens them."""

    def __init__(
        self, broker: ApacheBroker, folder: Path, scale: float, sizes: list[int], counts: list[int], data: str = DATA
    ) -> None:
        self.broker, self.folder, self.scale = broker, folder, scale
        self.sizes, self.counts, self._data = sizes, counts, data
        self.results: dict[str, Any] = {}
        self._catalogues: dict[int, Catalogue] = {}

    @cached_property
    def clicks(self) -> list[Line]:
        """The real clicks."""
        return real_clicks(self._data)

    @property
    def described(self) -> str:
        """The clicks in words."""
        items = len({line.event.item_id for line in self.clicks})
        return (
            f"{len(self.clicks):,} real clicks of {self._data} on {items:,} items, again and again with new sessions; "
            "for larger catalogues, sessions are spread over several shops whose items have names of their own"
        )

    def catalogue(self, items: int) -> Catalogue:
        """The catalogue of this size."""
        if items not in self._catalogues:
            events = max(self.times(MOST_EVENTS), FEWEST_EVENTS)
            kept = {size: one for size, one in self._catalogues.items() if size == OWN_ITEMS}  # each takes 1 GB
            self._catalogues = kept | {items: Catalogue(self.clicks, items, events, self.folder)}
        return self._catalogues[items]

    def deployment(self, of: Catalogue, **options: Any) -> Deployment:
        """Workers for the events of a catalogue, not started."""
        return Deployment(self.broker, self.folder, learned=of.model, **options)

    def times(self, at_full_length: float) -> int:
        """So many at this scale, at least one."""
        return max(round(at_full_length * self.scale), 1)

    def seconds(self, at_full_length: float) -> float:
        """So long at this scale, and long enough to judge."""
        return max(at_full_length * self.scale, SHORTEST_S)

    def combinations(self) -> Iterator[tuple[int, int]]:
        """The sizes of the catalogue, each with the numbers of workers."""
        return ((items, workers) for items in self.sizes for workers in self.counts)


def say(text: str) -> None:
    """Print the progress."""
    print(text, flush=True)


def plain(value: Any) -> Any:
    """The value as JSON has it: numbers of numpy as Python's, rounded to four digits or more."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        number = float(value)
        return float(f"{number:.5g}") if np.isfinite(number) else None
    return int(value) if isinstance(value, np.integer) else value
