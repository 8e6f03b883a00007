"""Clicks on catalogues of any size, made from the real clicks of one shop.

The rule: a catalogue of N items is as many copies of the shop as that takes, and each session goes
to one copy. Copy number c, from 0, gets sessions in proportion to 1 / (1 + c), at random. When all
sessions are used, they are used again, at random anew. So sessions, repeats and popularity within a
copy are real, few copies get most clicks, and most items are rare, as in a large shop.

The shop is rsc15 in the folder OUZEL_TEST_DATA. Without that, sessions are walks over 3,000 items:
popularity follows Zipf's law, and a few items are likely to follow each item.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np

from models.transition import Transitions
from serving.evaluation.data import located
from serving.recorded import Reading
from streams.rules import limits_of
from streams.settings import load_settings
from streams.tools.history import read_stream
from streams.tools.recorded import Report

SHOP = "rsc15"
WALKED = 3000, 80_000


class Shop:
    """The transitions of one shop, each with the number of its session."""

    def __init__(self, transitions: Transitions, session: list[int]) -> None:
        self.transitions, self.session = transitions, session
        self.items = len(set(transitions.item))


def shop() -> Shop:
    """The real shop, or the walks where there is none."""
    if not os.environ.get("OUZEL_TEST_DATA"):
        return walks(*WALKED)
    settings = load_settings()
    stream = read_stream(sorted(located(Path(SHOP)).iterdir()), Reading().reader(settings), Report(), limits=limits_of(settings))
    return Shop(stream.transitions, stream.session)


def walks(items: int, events: int, seed: int = 0) -> Shop:
    """Sessions of about four clicks, without real ones."""
    rng, batch, session = np.random.default_rng(seed), Transitions(), list[int]()
    likely = rng.integers(0, items, (items, 6))
    chance = 1 / np.arange(1, items + 1) ** 0.8
    starts = rng.choice(items, events, p=chance / chance.sum())
    while len(batch) < events:
        prefix, item, number = list[str](), int(starts[len(batch)]), len(batch)
        for _ in range(1 + rng.poisson(3)):
            batch.append(0, 0, list(prefix), str(item), "view", 1.0, 0, len(prefix), 20.0)
            session.append(number)
            prefix.append(str(item))
            item = int(likely[item, min(rng.geometric(0.5) - 1, 5)])
    return Shop(batch, session)


class Catalogue:
    """``items`` items: copies of a shop. Offsets go on from batch to batch."""

    def __init__(self, shop: Shop, items: int, seed: int = 0) -> None:
        self._shop, self.items = shop, items
        self.copies = -(-items // shop.items)
        self._rng = np.random.default_rng(seed)
        self._offset = count()
        self._clicks = self._endless()

    def every_item(self) -> Iterator[Transitions]:
        """The first transition on each of the items, copy by copy, so that all are known."""
        first = dict(zip(reversed(self._shop.transitions.item), range(len(self._shop.session) - 1, -1, -1), strict=True))
        for copy in range(self.copies):
            batch = Transitions()
            for n in sorted(first.values())[: self.items - copy * self._shop.items]:
                self._append(batch, n, copy)
            yield batch

    def clicks(self, events: int) -> Transitions:
        """The next so many transitions."""
        batch = Transitions()
        for n, copy in islice(self._clicks, events):
            self._append(batch, n, copy)
        return batch

    def _endless(self) -> Iterator[tuple[int, int]]:
        """Indices of transitions in the shop, each with a copy."""
        share = 1 / (1 + np.arange(self.copies))
        sessions = max(self._shop.session) + 1
        while True:
            copies = self._rng.choice(self.copies, sessions, p=share / share.sum()).tolist()
            for n, session in enumerate(self._shop.session):
                yield n, copies[session]

    def _append(self, batch: Transitions, n: int, copy: int) -> None:
        source, offset = self._shop.transitions, next(self._offset)
        prefix = [f"{item}.{copy}" for item in source.prefix[n]]
        item, kind, weight = f"{source.item[n]}.{copy}", source.event_type[n], source.weight[n]
        batch.append(0, offset, prefix, item, kind, weight, offset, source.length[n], source.dwell[n])
