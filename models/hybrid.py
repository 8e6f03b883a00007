"""The online hybrid: experts and a net propose and describe candidates, a gate ranks them.

Read `Hybrid._learn` first. One learning step takes a few transitions, in order:

1. The net scores every item for each prefix, with the weights from before the step.
2. One transition at a time, the experts describe the prefix's candidates, and only then count the
   transition. So nothing of the answer is in the features.
3. The gate scores the candidates. This ranking is the one that is tested.
4. The gate learns from the queries whose answer is among the candidates.
5. The net learns from the new examples and some old ones.

In the shapes, B is the number of transitions or queries, A that of those with a known item in their
prefix, N that of all their candidates, F = 36 that of features, and d = 64 the length of vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from models.drift import PageHinkley
from models.encoders.registry import encoder as make_encoder
from models.experts.columns import Columns
from models.experts.memory import MAX_ITEMS, Memory
from models.experts.reasons import REASONS
from models.experts.rows import soften
from models.gate.batch import NONE_BLOCKED, NONE_PER_QUERY, Candidates, Excluded, NetScores, new_chosen
from models.gate.candidates import best, choose, describe_batch
from models.gate.features import FEATURES, MOVING
from models.gate.gate import Gate
from models.gate.per_expert import per_expert
from models.gate.scoring import Scoring, Unknown
from models.gate.workspace import Workspace
from models.kernels.numerics import Floats, Ints, f4
from models.net.ghosts import Ghost, ghosts
from models.net.guard import Guard
from models.net.net import NO_ROWS, Net
from models.net.trained import Trained
from models.profile import PROFILES
from models.ranked import may_have, rank_cold, rankings_of
from models.recommender import POPULAR, TESTED_K, Parameters, Query, QueryLike, Ranking
from models.state import State, nested, part, scalar
from models.transition import Transitions

RANKED_AT_ONCE = 64
EXACT_ITEMS = 20_000
"""The net scores every item up to this many. With more, an index finds its best items."""
STRATEGY = "hybrid"
SOFT_RESET = 0.1
_NOTHING = Ranking([], [], [], [], POPULAR)


class Hybrid(Trained):
    """The hybrid `Recommender`.

    ``profile`` is a name in `PROFILES`. A ``frozen`` model leaves out the features whose meaning
    changes once learning has stopped: use it to rank without learning. At most ``max_items`` items
    are known; those unseen for longest are evicted.
    """

    def __init__(
        self,
        seed: int = 0,
        encoder: str = "gru",
        profile: str = "balanced",
        *,
        frozen: bool = False,
        max_items: int = MAX_ITEMS,
        exact_items: int = EXACT_ITEMS,
    ) -> None:
        self.config: dict[str, Any] = {
            "seed": seed, "encoder": encoder, "profile": profile, "frozen": frozen, "max_items": max_items,
            "exact_items": exact_items,
        }  # fmt: skip
        p = self.profile = PROFILES[profile]
        self.step_size, self.steps, self.drifts = p.step_size, 0, 0
        self.memory = Memory(p.slots, max_items)
        self.net = Net(make_encoder(encoder, seed), seed, self.memory.capacity, p)
        self.gate = Gate(seed, p)
        self.drift_test = PageHinkley()
        self._left_out = [FEATURES.index(name) for name in MOVING] if frozen else []
        self._work = Workspace(p, self.memory.capacity)
        self.scoring = Scoring(self.memory, self.net, self._work, exact_items)
        self.memory.subscribe(self._grow, self._evict, self.net.add)

    def learn(self, batch: Transitions) -> None:
        columns, new_rows = self.memory.register(batch)
        self._learn(columns, new_rows, TESTED_K)

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        columns, new_rows = self.memory.register(batch)
        warm = columns.warm  # [A]
        candidates, scores, top, counts = self._learn(columns, new_rows, k)
        rankings, names = [_NOTHING] * len(columns.target), cast(list[str], self.memory.vocabulary.items)
        if not len(warm):
            return rankings
        rows, values = candidates.ids[top].tolist(), scores[top].tolist()  # [A, >= k] each
        for q, (place, count) in enumerate(zip(warm.tolist(), counts.tolist(), strict=True)):
            n = min(count, k)
            items = [names[row] for row in rows[q][:n]]
            rankings[place] = Ranking(items, values[q][:n], [STRATEGY] * n, [None] * n, STRATEGY)
        return rankings

    def _learn(self, columns: Columns, new_rows: Mapping[int, int], k: int) -> tuple[Candidates, Floats, Ints, Ints]:
        """Take one step on B transitions; ``new_rows`` has the index of each new item's transition.

        Returns the candidates, their scores [N], the indices of each query's best candidates
        [A, >= k], and how many of these there are [A].
        """
        warm = columns.warm  # [A]
        unknown = [(row, warm <= place) for row, place in new_rows.items()]  # an item does not exist until its transition
        net = self._score_items(columns.window[warm], unknown, NONE_BLOCKED)  # step 1
        excluded = Excluded(self._work.blocked, NONE_PER_QUERY)
        candidates = self._describe(columns, len(warm), net, excluded)  # step 2
        self.memory.events += len(columns.target)
        scores = self.gate.scores(candidates.features)  # [N] step 3
        top = np.full((len(warm), max(k, TESTED_K)), -1, np.int32)  # [A, >= k]
        counts = np.zeros(len(warm), np.int32)  # [A]
        best(scores, candidates.starts, top, counts, self._work.scratch.keys)
        fresh = self.gate.keep(candidates, scores, columns.weight[warm], self._work.scratch.keys)
        self.gate.learn(fresh)  # step 4
        trained = warm[columns.weight[warm] > 0]  # [<= A]
        examples = columns.window[trained], columns.target[trained], columns.weight[trained]
        self.net.learn(*examples, self.memory.vocabulary.height)  # step 5
        self.net.count(columns.target)
        self.scoring.follow(self.net.changed, new_rows)
        self.steps += 1
        answers = np.where(candidates.answers >= 0, candidates.starts[:-1] + candidates.answers, -2)  # [A]
        hits = (top[:, :TESTED_K] == answers[:, None]).any(1)  # [A]
        alarms = [self.drift_test.add(hit) for hit in hits.tolist()]
        if True in alarms:
            self.soft_reset()
        return candidates, scores, top, counts

    def _score_items(
        self, windows: Ints, unknown: Sequence[Unknown], blocked: NDArray[np.uint8], depth: int = 0, among: Ints | None = None
    ) -> NetScores:
        """The net's scores, as `Scoring.score`, with at least its candidates."""
        return self.scoring.score(windows, unknown, blocked, max(depth, self.profile.net_candidates), among)

    def _describe(self, columns: Columns, queries: int, net: NetScores, excluded: Excluded) -> Candidates:
        """Gather and describe the candidates of the A ``queries`` with a known item.

        Each transition in the columns is counted right after it is described.
        """
        p, buffers, scratch = self.profile, self._work.buffers, self._work.scratch
        starts, answers = np.zeros(queries + 1, np.int32), np.full(queries, -1, np.int32)  # [A + 1], [A]
        room = Candidates(buffers.ids, buffers.features, starts, answers)
        total = describe_batch(
            columns, self.memory.counts, net, excluded, p.sparse_candidates, p.net_candidates, scratch, room
        )  # N
        features = buffers.features[:total]  # [N, F]
        if self._left_out:
            features[:, self._left_out] = 0
        return Candidates(buffers.ids[:total], features, starts, answers)

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        columns, memory, vocabulary = self.memory.look_up(queries), self.memory, self.memory.vocabulary
        hidden_rows = vocabulary.rows(hidden)
        rankings: list[Ranking] = [_NOTHING] * len(queries)
        cold = np.flatnonzero(columns.window[:, 0] < 0).tolist()
        for q, ranking in zip(cold, rank_cold([queries[q] for q in cold], memory, hidden_rows, hidden, k), strict=True):
            rankings[q] = ranking
        warm = columns.warm.tolist()
        with ghosts(memory, self.net, queries, columns) as added:
            ghost_rows = [ghost.row for ghost in added if not may_have(queries[ghost.query], ghost.item, hidden)]
            out = np.array(hidden_rows + ghost_rows, np.int32)  # [H]
            unrestricted = [q for q in warm if queries[q].allowed is None]
            for begin in range(0, len(unrestricted), RANKED_AT_ONCE):
                places = unrestricted[begin : begin + RANKED_AT_ONCE]
                self._rank_some(columns, places, queries, added, k, out, rankings)
            for q in warm:
                if (allowed := queries[q].allowed) is not None:
                    rows = vocabulary.rows(allowed) + [ghost.row for ghost in added if ghost.query == q]
                    self._rank_some(columns, [q], queries, added, k, out, rankings, np.array(rows, np.int32))
        return rankings

    def _rank_some(
        self, columns: Columns, places: Sequence[int], queries: Sequence[QueryLike], added: Sequence[Ghost], k: int,
        out: Ints, rankings: list[Ranking], among: Ints | None = None,
    ) -> None:  # fmt: skip
        """Write the rankings of the A queries at ``places``, each of which has a known item.

        The rows ``out`` [H] are left out, and all but those ``among`` [N], if that is not ``None``.
        """
        memory, encoder, columns = self.memory, self.config["encoder"], columns.take(places)
        excluded_rows = [memory.vocabulary.rows(queries[q].excluded) for q in places]
        per_query = np.full((len(places), max(map(len, excluded_rows))), -1, np.int32)  # [A, X]
        for at, rows in enumerate(excluded_rows):
            per_query[at, : len(rows)] = rows
        at_places, chosen = np.array(places, np.int32), new_chosen(len(places), k)  # [A], [A, k]
        unknown = [(ghost.row, at_places != ghost.query) for ghost in added]  # a ghost exists for its own query only
        with self._work.marked(out, among) as blocked:
            excluded, left_out = Excluded(blocked, per_query), NONE_BLOCKED if among is None and not len(out) else blocked
            net = self._score_items(columns.window, unknown, left_out, k + per_query.shape[1], among)
            candidates = self._describe(columns, len(places), net, excluded)
            scores = self.gate.scores(candidates.features)  # [N]
            choose(columns.window, candidates, scores, net, excluded, memory.rows, self._work.scratch, chosen)
            compared = [at for at, q in enumerate(places) if queries[q].per_expert]
            parts = per_expert(columns.window, compared, memory, net, excluded, self._work.scratch, encoder)
        names, reasons = cast(list[str], memory.vocabulary.items), (*REASONS, encoder)
        rankings_at = rankings_of(chosen, names, reasons, STRATEGY, map(parts.get, range(len(places))))
        for place, ranking in zip(places, rankings_at, strict=True):
            rankings[place] = ranking

    def follow(self, batch: Transitions) -> None:
        columns, new_rows = self.memory.register(batch)
        self.memory.count(columns)
        self.net.count(columns.target)
        self.scoring.follow(NO_ROWS, new_rows)

    def soft_reset(self) -> None:
        """After a drift, shrink the experts' counts to a tenth and drop the stored examples."""
        soften(self.memory.rows, f4(SOFT_RESET))
        self.net.flush()
        self.gate.flush()
        self.drifts += 1

    @property
    def skipped_steps(self) -> int:
        return self.net.skipped + self.gate.skipped

    def apply(self, parameters: Parameters) -> None:
        drifted = parameters.drifts > self.drifts
        super().apply(parameters)
        self.scoring.follow(np.array(self.memory.vocabulary.rows(parameters.items), np.int32))  # [K]
        if drifted:
            soften(self.memory.rows, f4(SOFT_RESET))

    def rollback(self, good: State) -> None:
        super().rollback(good)
        self.gate.rollback(part(good, "gate"))
        if self.scoring.index.built:
            self.scoring.build()

    def state(self) -> dict[str, NDArray[Any]]:
        numbers = {"steps": scalar(self.steps), "drifts": scalar(self.drifts), "drift": self.drift_test.state()}
        net = self.net.state(self.memory.vocabulary.height)
        return numbers | nested(memory=self.memory.state(), net=net, gate=self.gate.state(), index=self.scoring.state())

    def restore(self, state: State) -> None:
        self.memory.restore(part(state, "memory"))
        self.net.restore(part(state, "net"), self.memory.vocabulary.height)
        self.gate.restore(part(state, "gate"))
        self.steps, self.drifts = int(state["steps"][0]), int(state["drifts"][0])
        self.drift_test.restore(state["drift"])
        self.scoring.restore(part(state, "index"))

    def warmup(self) -> None:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)  # denormal numbers cost 10 to 100 times as much
        rehearsal, batch = Hybrid(**(self.config | {"max_items": 16, "exact_items": 12})), Transitions()
        for offset in range(2 * self.step_size):
            item = str(offset % 23 + offset // self.step_size)  # the second step has a new one, which evicts another
            batch.append(0, offset, [str(n) for n in range(offset % 7)], item, "view", 1.0, 0)
        for begin in (0, self.step_size):
            rehearsal.test_then_learn(batch.take(range(begin, begin + self.step_size)))
        rehearsal.rank([Query(["1", "new", "2"], frozenset({"3"}), per_expert=True), Query([])], TESTED_K, {"4"})
        Hybrid(**rehearsal.config).restore(rehearsal.state())
        rehearsal.follow(batch)
        rehearsal.soft_reset()

    def _guards(self) -> list[Guard]:
        return [self.net.guard, self.gate.guard]

    def _blocks(self) -> dict[str, Floats]:
        return super()._blocks() | {"gate": self.gate.optimiser.served}

    def _evict(self, evicted: NDArray[np.bool_]) -> None:
        self.net.evict(evicted)
        self.scoring.evict(evicted)

    def _grow(self, more: int) -> None:
        self.net.grow(more)
        self.scoring.grow()
