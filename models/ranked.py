"""From scores by row to rankings of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from models.experts.columns import WINDOW
from models.experts.memory import Memory
from models.experts.vocabulary import Vocabulary
from models.gate.batch import Chosen
from models.kernels.numerics import Floats
from models.recommender import POPULAR, QueryLike, Ranking

Rows = NDArray[np.int64]
NO_ROWS: Rows = np.zeros(0, np.int64)  # [0]
BLOCK = 64


def marked(rows: Sequence[int], size: int) -> NDArray[np.uint8]:
    """A new array uint8[size] with 1 at ``rows`` and 0 elsewhere."""
    marks = np.zeros(size, np.uint8)  # [size]
    marks[rows] = 1
    return marks


def allowed_rows(vocabulary: Vocabulary, allowed: AbstractSet[str] | None, blocked: NDArray[np.uint8]) -> Rows:
    """The ascending rows [N] of the items that are ``allowed`` and not marked in ``blocked``.

    ``None`` allows all items; ``blocked`` is uint8[>= height].
    """
    if allowed is None:
        rows = np.arange(vocabulary.height)  # [height]
        rows = np.delete(rows, vocabulary.free) if vocabulary.free else rows
    else:
        rows = np.array(sorted(vocabulary.rows(allowed)), np.int64)  # [allowed and known]
    unblocked: Rows = rows[blocked[rows] == 0]
    return unblocked


def ranked_by(scores: Floats, vocabulary: Vocabulary, among: Rows, excluded: Sequence[int], k: int, strategy: str) -> Ranking:
    """Rank the k best of the rows ``among`` [N] that are not excluded.

    ``scores`` [height] are by row; ties go by row.
    """
    if excluded:
        among = among[~np.isin(among, excluded)]
    values = scores[among]  # [N]
    if len(among) > k:
        least = np.partition(values, len(values) - k)[len(values) - k]
        kept = values >= least
        among, values = among[kept], values[kept]
    order = np.argsort(-values, kind="stable")[:k]  # [<= k]
    items = [vocabulary.name(row) for row in among[order].tolist()]
    return Ranking(items, values[order].tolist(), [strategy] * len(items), [None] * len(items), strategy)


def rankings_of(
    chosen: Chosen, names: Sequence[str], reason_names: Sequence[str], strategy: str,
    per_expert: Iterable[Mapping[str, list[str]] | None],
) -> Iterator[Ranking]:  # fmt: skip
    """The rankings of A queries from their chosen rows.

    ``names`` are the items by row, ``reason_names`` the reasons by number. ``per_expert`` has an
    entry for each query, as in `Ranking`.
    """
    columns = (chosen.counts, chosen.row, chosen.score, chosen.reason, chosen.because)
    for parts, n, rows, values, reasons, because in zip(per_expert, *(array.tolist() for array in columns), strict=True):
        yield Ranking(
            [names[row] for row in rows[:n]],
            values[:n],
            [reason_names[reason] for reason in reasons[:n]],
            [names[row] if row >= 0 else None for row in because[:n]],
            strategy,
            parts,
        )


def may_have(query: QueryLike, item: str, hidden: AbstractSet[str]) -> bool:
    """Whether a ranking for this query may contain the item."""
    return not (item in query.excluded or item in hidden or (query.allowed is not None and item not in query.allowed))


def rank_cold(
    queries: Sequence[QueryLike], memory: Memory, hidden_rows: Sequence[int], hidden: AbstractSet[str], k: int
) -> Iterator[Ranking]:
    """The rankings of queries without a known item: the query's own items, then the popular ones.

    ``hidden_rows`` are the rows of the ``hidden`` items.
    """
    if not queries:
        return
    vocabulary, popular = memory.vocabulary, memory.popular()
    blocked = marked(hidden_rows, vocabulary.height)  # [height]
    for query in queries:
        excluded = vocabulary.rows(query.excluded)
        most = k + len(excluded) + len(hidden_rows)
        among = contenders(popular, most) if query.allowed is None else NO_ROWS  # [N]
        among = among[blocked[among] == 0] if len(among) else allowed_rows(vocabulary, query.allowed, blocked)
        yield own_first(query, hidden, ranked_by(popular, vocabulary, among, excluded, k, POPULAR), k)


def contenders(scores: Floats, n: int) -> Rows:
    """The rows that can be among the n best of ``scores`` [height] that are above 0, ascending.

    There is none if fewer than n are certain to be above 0. The n-th largest maximum of the blocks
    is a lower bound of the n-th largest score.
    """
    whole = scores[: len(scores) // BLOCK * BLOCK].reshape(-1, BLOCK)  # [blocks, BLOCK]
    if len(whole) <= n:
        return NO_ROWS
    bound = np.partition(whole.max(1), -n)[-n]
    return np.flatnonzero(scores >= bound) if bound > 0 else NO_ROWS


def own_first(query: QueryLike, hidden: AbstractSet[str], popular: Ranking, k: int) -> Ranking:
    """Put the items of the query's own prefix, the last one first, before the popular ones."""
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
