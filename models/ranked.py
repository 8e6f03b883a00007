"""From a score per item to a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from models.experts.columns import WINDOW
from models.experts.vocabulary import Vocabulary
from models.gate.candidates import Chosen
from models.kernels.numerics import Floats
from models.recommender import QueryLike, Ranking

Rows = NDArray[np.int64]


def allowed_rows(vocabulary: Vocabulary, allowed: AbstractSet[str] | None, blocked: NDArray[np.uint8]) -> Rows:
    """The rows in use that are not blocked, ascending: of all items, or of those ``allowed``."""
    if allowed is None:
        rows = np.arange(vocabulary.height)
        rows = np.delete(rows, vocabulary.free) if vocabulary.free else rows
    else:
        rows = np.array(sorted(vocabulary.rows(allowed)), np.int64)
    allowed_: Rows = rows[blocked[rows] == 0]
    return allowed_


def ranked_by(scores: Floats, vocabulary: Vocabulary, among: Rows, excluded: Sequence[int], k: int, strategy: str) -> Ranking:
    """The k best of the rows ``among``, less those excluded; equal scores by ascending row."""
    if excluded:
        among = among[~np.isin(among, excluded)]
    values = scores[among]
    if len(among) > k:
        least = np.partition(values, len(values) - k)[len(values) - k]
        kept = values >= least
        among, values = among[kept], values[kept]
    order = np.argsort(-values, kind="stable")[:k]
    items = [vocabulary.name(row) for row in among[order].tolist()]
    return Ranking(items, values[order].tolist(), [strategy] * len(items), [None] * len(items), strategy)


def rankings_of(
    chosen: Chosen, names: Sequence[str], told: Sequence[str], strategy: str, per_expert: Iterable[Mapping[str, list[str]] | None]
) -> Iterator[Ranking]:
    """The rankings of rows that were chosen: ``names`` by row, ``told`` the reasons by number, ``per_expert`` as in `Ranking`."""
    columns = (chosen.found, chosen.row, chosen.score, chosen.reason, chosen.because)
    for parts, n, rows, values, reasons, because in zip(per_expert, *(array.tolist() for array in columns), strict=True):
        yield Ranking(
            [names[row] for row in rows[:n]],
            values[:n],
            [told[reason] for reason in reasons[:n]],
            [names[row] if row >= 0 else None for row in because[:n]],
            strategy,
            parts,
        )


def may_have(query: QueryLike, item: str, hidden: AbstractSet[str]) -> bool:
    """Whether a ranking for this query may contain the item."""
    return not (item in query.excluded or item in hidden or (query.allowed is not None and item not in query.allowed))


def own_first(query: QueryLike, hidden: AbstractSet[str], popular: Ranking, k: int) -> Ranking:
    """Before what is popular, the items of the prefix, the last one first: for whoever has only unknown ones."""
    own = [item for item in dict.fromkeys(reversed(query.prefix[-WINDOW:])) if may_have(query, item, hidden)][:k]
    if not own:
        return popular
    rest, most = k - len(own), max(popular.scores, default=0.0)
    return Ranking(
        own + popular.items[:rest],
        [most + len(own) - place for place in range(len(own))] + popular.scores[:rest],
        ["repeat"] * len(own) + popular.reasons[:rest],
        [*own, *popular.because[:rest]],
        popular.strategy,
    )
