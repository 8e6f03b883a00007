"""The online hybrid: sparse experts and an online net propose and describe candidates, a learned gate ranks them.

Read `Hybrid.test` first. One step takes a few transitions, in order:

1. the net scores every item for each prefix, with the weights from before the step;
2. one by one: the experts describe the prefix's candidates, and only then count the transition (nothing of the answer is in
   the features);
3. the gate scores the candidates: that ranking is what is tested;
4. the gate learns from the queries whose answer is among the candidates; 5. the net learns from the new examples.
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
from models.gate.candidates import NOTHING_OUT, Buffers, Found, best, choose, describe_batch, new_buffers, new_chosen
from models.gate.features import FEATURES, MOVING, new_scratch
from models.gate.gate import Gate
from models.gate.per_expert import per_expert
from models.gate.shortlist import Shortlist
from models.kernels.numerics import Floats, Ints, f4
from models.kernels.topk import ABSENT, top_scores
from models.net.ghosts import Ghost, ghosts
from models.net.guard import Guard
from models.net.net import Net
from models.net.trained import Trained
from models.profile import PROFILES
from models.ranked import allowed_rows, may_have, own_first, ranked_by, rankings_of
from models.recommender import POPULAR, TESTED_K, Parameters, Query, QueryLike, Ranking
from models.state import State, nested, part, scalar
from models.transition import Transitions

RANKED_AT_ONCE = 64
EXACT_ITEMS = 100_000
"""Up to so many items the net scores all of them; beyond, it scores the experts' candidates and what is popular."""
STRATEGY = "hybrid"
SOFT_RESET = 0.1
_NOTHING = Ranking([], [], [], [], POPULAR)


class Hybrid(Trained):
    """`Recommender` by the hybrid.

    ``profile`` is a name in `PROFILES`. ``frozen`` leaves out the features that mean something else once learning has
    stopped: for a model that is to serve without learning. Beyond ``max_items`` those unseen for longest are forgotten.
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
        self.net = Net(
            make_encoder(encoder, seed), seed, capacity=self.memory.capacity, most=p.step_size, replayed=p.net_replayed,
            negatives=p.negatives,
        )  # fmt: skip
        self.gate = Gate(
            seed, kept=p.gate_kept, at_random=p.gate_at_random, replayed=p.gate_replayed, steps=p.gate_steps, most=p.step_size
        )
        self.memory.tell(self._grown, self._forgotten, self.net.add)
        self._drift, self._shortlist = PageHinkley(), Shortlist()
        self._left_out = [FEATURES.index(name) for name in MOVING] if frozen else []
        self._exact_items = exact_items
        self._grown(0)
        self._buffers: Buffers | None = None

    @property
    def skipped_steps(self) -> int:
        return self.net.skipped + self.gate.skipped

    def _guards(self) -> list[Guard]:
        return [self.net.guard, self.gate.guard]

    def warmup(self) -> None:
        """Compile, and prepare the thread that will own the model: denormals cost 10 to 100 times as much."""
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        rehearsal, batch = Hybrid(**(self.config | {"max_items": 16})), Transitions()
        for offset in range(2 * self.step_size):
            batch.append(0, offset, [str(n) for n in range(offset % 7)], str(offset % 23), "view", 1.0, 0)
        for begin in (0, self.step_size):
            rehearsal.test_then_learn(batch.take(range(begin, begin + self.step_size)))
        rehearsal.rank([Query(["1", "new", "2"], frozenset({"3"}), per_expert=True), Query([])], TESTED_K, {"4"})
        rehearsal.follow(batch)
        rehearsal.soft_reset()

    def follow(self, batch: Transitions) -> None:
        columns = self.memory.see(batch)[0]
        self.memory.count(columns)
        self.net.count(columns.target)
        if self.memory.vocabulary.height > self._exact_items:
            self._shortlist.follow(self.memory, self.profile.net_candidates)

    def learn(self, batch: Transitions) -> None:
        columns, born = self.memory.see(batch)
        self._learn(columns, born, TESTED_K)

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        """Learn; the returned rankings of each prefix are by the model as it was before, without reasons."""
        columns, born = self.memory.see(batch)
        asked = columns.warm
        found, scores, top, counts = self._learn(columns, born, k)
        rankings, names = [_NOTHING] * len(columns.target), cast(list[str], self.memory.vocabulary.items)
        if not len(asked):
            return rankings
        tops, values = found.ids[top].tolist(), scores[top].tolist()
        for q, (place, count) in enumerate(zip(asked.tolist(), counts.tolist(), strict=True)):
            n = min(count, k)
            items = [names[row] for row in tops[q][:n]]
            rankings[place] = Ranking(items, values[q][:n], [STRATEGY] * n, [None] * n, STRATEGY)
        return rankings

    def _learn(self, columns: Columns, born: Mapping[int, int], k: int) -> tuple[Found, Floats, Ints, Ints]:
        asked = columns.warm
        unseen = [(row, asked <= place) for row, place in born.items()]
        found = self._describe(columns, asked, self._blocked, unseen, learn=True)
        scores = self.gate.scores(found.features)
        top, counts = np.full((len(asked), max(k, TESTED_K)), -1, np.int32), np.zeros(len(asked), np.int32)
        best(scores, found.starts, top, counts, self._scratch.keys)
        fresh = self.gate.keep(found, scores, columns.weight[asked], self._scratch.keys)
        self.gate.learn(fresh)
        trained = asked[columns.weight[asked] > 0]
        of_trained = columns.window[trained], columns.target[trained], columns.weight[trained]
        self.net.learn(*of_trained, self.memory.vocabulary.height)
        self.net.count(columns.target)
        self.steps += 1
        places = np.where(found.answers >= 0, found.starts[:-1] + found.answers, -2)
        alarms = [self._drift.add(hit) for hit in (top[:, :TESTED_K] == places[:, None]).any(1).tolist()]
        if True in alarms:
            self.soft_reset()
        return found, scores, top, counts

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        columns, vocabulary = self.memory.ask(queries), self.memory.vocabulary
        veiled = vocabulary.rows(hidden)
        self._blocked[veiled] = 1
        rankings: list[Ranking] = [_NOTHING] * len(queries)
        for q in np.flatnonzero(columns.window[:, 0] < 0).tolist():
            among = allowed_rows(vocabulary, queries[q].allowed, self._blocked)
            excluded = vocabulary.rows(queries[q].excluded)
            popular = ranked_by(self.memory.popular(), vocabulary, among, excluded, k, POPULAR)
            rankings[q] = own_first(queries[q], hidden, popular, k)
        asked = columns.warm.tolist()
        with ghosts(self.memory, self.net, queries, columns) as found:
            blocked = self._blocked  # ghosts may have made more room
            for ghost in found:
                blocked[ghost.row] = not may_have(queries[ghost.query], ghost.item, hidden)
            plain = [q for q in asked if queries[q].allowed is None]
            for begin in range(0, len(plain), RANKED_AT_ONCE):
                places = plain[begin : begin + RANKED_AT_ONCE]
                self._rank_some(columns, places, queries, found, k, blocked, rankings)
            for q in asked:
                if (allowed := queries[q].allowed) is not None:
                    others = np.ones_like(blocked)
                    rows = vocabulary.rows(allowed) + [ghost.row for ghost in found if ghost.query == q]
                    others[rows] = blocked[rows]
                    self._rank_some(columns, [q], queries, found, k, others, rankings)
            blocked[[ghost.row for ghost in found]] = 0
        self._blocked[veiled] = 0
        return rankings

    def apply(self, parameters: Parameters) -> None:
        drifted = parameters.drifts > self.drifts
        super().apply(parameters)
        if drifted:
            soften(self.memory.rows, f4(SOFT_RESET))

    def rollback(self, good: State) -> None:
        super().rollback(good)
        self.gate.rollback(part(good, "gate"))

    def _blocks(self) -> dict[str, Floats]:
        return super()._blocks() | {"gate": self.gate.optimiser.served}

    def soft_reset(self) -> None:
        """Trust the past less: table weights shrink to a tenth, and nothing old is replayed."""
        soften(self.memory.rows, f4(SOFT_RESET))
        self.net.flush()
        self.gate.flush()
        self.drifts += 1

    def state(self) -> dict[str, NDArray[Any]]:
        numbers = {"steps": scalar(self.steps), "drifts": scalar(self.drifts), "drift": self._drift.state()}
        parts = nested(memory=self.memory.state(), net=self.net.state(self.memory.vocabulary.height), gate=self.gate.state())
        return numbers | parts | {"shortlist": self._shortlist.rows}

    def restore(self, state: State) -> None:
        self.memory.restore(part(state, "memory"))
        self.net.restore(part(state, "net"))
        self.gate.restore(part(state, "gate"))
        self.steps, self.drifts = int(state["steps"][0]), int(state["drifts"][0])
        self._drift.restore(state["drift"])
        self._shortlist.rows = state["shortlist"].copy()

    def _describe(
        self, columns: Columns, asked: Ints, blocked: NDArray[np.uint8], unseen: Sequence[tuple[int, NDArray[np.bool_]]], *,
        learn: bool = False, out: Ints = NOTHING_OUT, depth: int = 0, veiled: bool = False,
    ) -> Found:  # fmt: skip
        """Net, then experts; with ``learn`` each transition is counted after its query is described.

        ``unseen`` are rows with the queries (bool[A]) that must not know of them. ``out``: see `describe_batch`. ``depth`` is
        how many of
        the net's best to find, if more than it proposes.
        """
        p, memory, items = self.profile, self.memory, self.net.items
        depth, height = max(depth, p.net_candidates), memory.vocabulary.height
        buffers = self._get_buffers(len(asked), depth)
        vectors = self.net.queries(np.ascontiguousarray(columns.window[asked]))
        if height <= self._exact_items:
            self.net.logits(vectors, height, buffers.logits)
            for row, blind in unseen:
                buffers.logits[: len(asked)][blind, row] = ABSENT
            top_scores(
                buffers.logits, items.bias, height, blocked, veiled, depth, buffers.net_top, buffers.net_count[: len(asked)],
                buffers.log_norm, buffers.block_max, self._scratch.keys,
            )  # fmt: skip
            vectors = vectors[:0]
        else:
            if learn:
                self._shortlist.refresh(memory, self.steps, depth)
            self._shortlist.score(memory, self.net, vectors, depth, buffers)
        starts, answers = np.zeros(len(asked) + 1, np.int32), np.full(len(asked), -1, np.int32)
        total = describe_batch(
            columns, asked, learn, memory.events, memory.rows, memory.statistics, buffers, vectors, items.embedding, items.bias,
            blocked, out, p.sparse_candidates, p.net_candidates, self._scratch, starts, answers,
        )  # fmt: skip
        if learn:
            memory.events += len(columns.target)
        features = buffers.features[:total]
        if self._left_out:
            features[:, self._left_out] = 0
        return Found(buffers.ids[:total], features, starts, answers)

    def _rank_some(
        self, columns: Columns, places: Sequence[int], queries: Sequence[QueryLike], found: Sequence[Ghost], k: int,
        blocked: NDArray[np.uint8], rankings: list[Ranking],
    ) -> None:  # fmt: skip
        """Write the rankings of the queries at ``places``."""
        asked, vocabulary = np.array(places, np.int32), self.memory.vocabulary
        excluded = [vocabulary.rows(queries[q].excluded) for q in places]
        out = np.full((len(columns.target), max(map(len, excluded))), -1, np.int32)
        for q, rows in zip(places, excluded, strict=True):
            out[q, : len(rows)] = rows
        unseen = [(ghost.row, asked != ghost.query) for ghost in found]
        candidates = self._describe(columns, asked, blocked, unseen, out=out, depth=k + out.shape[1], veiled=bool(blocked.any()))
        scores = self.gate.scores(candidates.features)
        chosen = new_chosen(len(asked), k)
        assert self._buffers is not None
        choose(
            columns.window, asked, candidates.ids, scores, candidates.starts, self._buffers, blocked, out, self.memory.rows,
            self._scratch, chosen,
        )  # fmt: skip
        compared = [(q, at) for at, q in enumerate(places) if queries[q].per_expert]
        parts = per_expert(
            columns.window, compared, self.memory, self._buffers, blocked, out, self._scratch, self.config["encoder"]
        )
        names, told = cast(list[str], vocabulary.items), (*REASONS, self.config["encoder"])
        for place, ranking in zip(places, rankings_of(chosen, names, told, STRATEGY, map(parts.get, places)), strict=True):
            rankings[place] = ranking

    def _get_buffers(self, queries: int, depth: int) -> Buffers:
        held, capacity = self._buffers, self.memory.capacity
        if held is None or not held.fits(queries, capacity, depth):
            most = self.profile.sparse_candidates + self.profile.net_candidates
            self._buffers = held = new_buffers(max(queries, self.step_size), capacity, depth, most)
        return held

    def _forgotten(self, gone: NDArray[np.bool_]) -> None:
        self.net.forget(gone)
        self._shortlist.forget(gone)

    def _grown(self, more: int) -> None:
        if more:
            self.net.grow(more)
        self._scratch = new_scratch(self.memory.capacity)
        self._blocked = np.zeros(self.memory.capacity, np.uint8)
