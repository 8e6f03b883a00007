"""The online GRU: tied embeddings, a GRU over the last items and a recency sum, learned event by event.

    q = P . GRU(e_1 .. e_5) + sum over r of w_r * e(r-th last item)        query, d
    logit(x) = s * q . e_x + b_x                                            for every known item x

After Hidasi et al., Session-based recommendations with recurrent neural networks (ICLR 2016), made online: one small step per
few transitions, each mixed with replayed ones. Loss: cross-entropy over sampled candidates with logQ correction. The constants
are those of docs/model.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import torch
from torch import Tensor, nn

from models.negatives import NegativeSampler, Rows
from models.recommender import Query, Ranking
from models.transition import Transitions
from models.vocabulary import Vocabulary

D = 64
LAST = 5
STEP_SIZE = 16
REPLAYED = 48
REPLAY_CAPACITY = 100_000
ROW_RATE = 0.1
DENSE_RATE = 2e-3
GRU_DECAY = 3.0
MAX_NORM = 5.0
RANKED_AT_ONCE = 64
LEARNED_K = 20
NEVER = -1e30


class Encoder(nn.Module):
    """A prefix's embeddings to its query vector: a pure function of parameters and prefix."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(D, D, batch_first=True)
        self.project = nn.Linear(D, D, bias=False)
        nn.init.zeros_(self.project.weight)
        self.recency = nn.Parameter(1.0 / torch.arange(1, LAST + 1))  # [5], the last item first
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """``embedded`` [R, 5, d]: oldest first, zeros after the end; ``lengths`` [R], 1 to 5. Returns queries [R, d]."""
        rows = torch.arange(len(lengths))
        outputs, _ = self.gru(embedded)  # [R, 5, d]
        hidden = outputs[rows, lengths - 1]  # [R, d]
        age = lengths[:, None] - 1 - torch.arange(LAST)[None, :]  # [R, 5], 0 for the last item
        weights = self.recency[age.clamp(min=0)] * (age >= 0)  # [R, 5]
        queries: Tensor = self.project(hidden) + (weights[:, :, None] * embedded).sum(1)  # [R, d]
        return queries


class OnlineGRU:
    """`Recommender` by the online GRU, with popularity for whoever has no known item."""

    step_size = STEP_SIZE

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._vocabulary = Vocabulary()
        self._counts = np.zeros(1024, np.int64)
        self._negatives = NegativeSampler()
        self._items = self._fresh(1024)  # [capacity, d]
        self._bias = torch.zeros(1024)
        self._items_seen = torch.full((1024,), 1e-4)  # row-wise Adagrad's accumulators
        self._bias_seen = torch.full((1024,), 1e-4)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self._encoder = Encoder()
        decayed = [*self._encoder.gru.parameters(), *self._encoder.project.parameters()]
        self._adam = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": GRU_DECAY},
                {"params": [self._encoder.recency, self._encoder.scale], "weight_decay": 0.0},
            ],
            lr=DENSE_RATE,
        )
        self._replay: list[tuple[list[int], int, float]] = []
        self._replay_at = 0
        self._position: dict[int, int] = {}
        self.steps = 0
        self.skipped_steps = 0
        self.loss = math.nan

    @property
    def position(self) -> Mapping[int, int]:
        return self._position

    @property
    def vocabulary_size(self) -> int:
        return len(self._vocabulary)

    def warmup(self) -> None:
        """Prepare the thread that will own the model: denormals cost 10 to 100 times as much, and one core is enough."""
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)

    # Following and learning

    def follow(self, batch: Transitions) -> None:
        for _ in self._see(batch):
            pass

    def learn(self, batch: Transitions) -> list[Ranking]:
        """Rank each prefix with the model and the items known just before it, then train on the whole batch once."""
        queries: list[Rows | None] = []
        known: list[int] = []
        examples: list[tuple[list[int], int, float]] = []
        popular = self._popular(LEARNED_K, set())
        for prefix, row, weight, before in self._see(batch):
            queries.append(np.array(prefix) if prefix else None)
            known.append(before)
            if prefix and weight > 0:
                examples.append((prefix, row, weight))
        rankings = self._rankings(queries, known, popular)
        if examples:
            self._train(examples)
        return rankings

    def _see(self, batch: Transitions) -> list[tuple[list[int], int, float, int]]:
        """Register what is new of a batch; per fresh transition its prefix's rows, its row, weight, and items known before."""
        seen = []
        for n, (partition, offset) in enumerate(zip(batch.source_partition, batch.source_offset, strict=True)):
            if offset <= self._position.get(partition, -1):
                continue
            self._position[partition] = offset
            prefix = self._vocabulary.rows(batch.prefix[n][-LAST:])
            before = len(self._vocabulary)
            row = self._vocabulary.row(batch.item[n])
            if row is None:
                row = self._register(batch.item[n], prefix)
            seen.append((prefix, row, batch.weight[n], before))
        for _, row, _, _ in seen:
            self._counts[row] += 1
            self._negatives.see(row)
        return seen

    def _register(self, item: str, prefix: list[int]) -> int:
        """A new item begins near the last ones of the session it came in."""
        row = self._vocabulary.add(item)
        if row == len(self._items):
            self._grow()
        if prefix:
            self._items[row] = 0.7 * self._items[prefix[-3:]].mean(0) + 0.3 * self._items[row]
        return row

    def _grow(self) -> None:
        more = len(self._items)
        self._items = torch.cat([self._items, self._fresh(more)])
        self._bias = torch.cat([self._bias, torch.zeros(more)])
        self._items_seen = torch.cat([self._items_seen, torch.full((more,), 1e-4)])
        self._bias_seen = torch.cat([self._bias_seen, torch.full((more,), 1e-4)])
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int64)])

    def _fresh(self, rows: int) -> Tensor:
        return torch.randn(rows, D, generator=self._generator) / math.sqrt(D)

    def _train(self, new: list[tuple[list[int], int, float]]) -> None:
        """One step on the new examples and replayed ones."""
        rows = new + [self._replay[n] for n in self._rng.integers(0, len(self._replay), REPLAYED)] if self._replay else new
        for example in new:
            if len(self._replay) < REPLAY_CAPACITY:
                self._replay.append(example)
            else:
                self._replay[self._replay_at] = example
                self._replay_at = (self._replay_at + 1) % REPLAY_CAPACITY
        targets = np.array([target for _, target, _ in rows])
        drawn = self._negatives.sample(self._rng, len(self._vocabulary))
        candidates, at = np.unique(np.concatenate([targets, drawn]), return_inverse=True)  # [C]
        prefixes, lengths = _padded([prefix for prefix, _, _ in rows])  # [R, 5], [R]
        log_q = torch.from_numpy(self._negatives.log_q(candidates, len(rows), len(self._vocabulary)))  # [C]

        used, where = np.unique(np.concatenate([candidates, prefixes[prefixes >= 0]]), return_inverse=True)
        embedded = self._items[used].requires_grad_()  # [U, d]
        bias = self._bias[candidates].requires_grad_()  # [C]
        places = torch.full(prefixes.shape, -1, dtype=torch.long)
        places[torch.from_numpy(prefixes >= 0)] = torch.from_numpy(where[len(candidates) :])
        inputs = embedded[places.clamp(min=0)] * (places >= 0)[:, :, None]  # [R, 5, d]
        queries = self._encoder(inputs, torch.from_numpy(lengths))  # [R, d]
        choices = embedded[torch.from_numpy(where[: len(candidates)])]  # [C, d]
        logits = self._encoder.scale * (queries @ choices.T) + bias - log_q  # [R, C]
        losses = nn.functional.cross_entropy(logits, torch.from_numpy(at[: len(rows)]), reduction="none")  # [R]
        loss = (losses * torch.tensor([weight for _, _, weight in rows])).mean()

        self._adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._encoder.parameters(), MAX_NORM)
        assert embedded.grad is not None
        assert bias.grad is not None
        if not (torch.isfinite(loss) and torch.isfinite(norm) and torch.isfinite(embedded.grad).all()):
            self.skipped_steps += 1
            return
        self._adam.step()
        # row-wise Adagrad on the sum of the gradients over sqrt(R), so that the rate does not depend on R
        by = math.sqrt(len(rows))
        _adagrad(self._items, self._items_seen, torch.from_numpy(used), embedded.grad * by)
        _adagrad(self._bias, self._bias_seen, torch.from_numpy(candidates), bias.grad * by)
        self.loss = float(loss.detach())
        self.steps += 1

    # Ranking

    def rank(self, queries: Sequence[Query], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        veiled = set(self._vocabulary.rows(hidden))
        rows = [self._vocabulary.rows(query.prefix)[-LAST:] for query in queries]
        prefixes = [np.array(prefix) if prefix else None for prefix in rows]
        excluded = [veiled.union(self._vocabulary.rows(query.excluded)) for query in queries]
        shared: dict[frozenset[int], Ranking] = {}
        for prefix, out in zip(prefixes, excluded, strict=True):
            if prefix is None and frozenset(out) not in shared:
                shared[frozenset(out)] = self._popular(k, out)
        size = len(self._vocabulary)
        rankings: list[Ranking] = []
        for begin in range(0, len(queries), RANKED_AT_ONCE):
            part = slice(begin, begin + RANKED_AT_ONCE)
            asked = [prefix for prefix in prefixes[part] if prefix is not None]
            logits = iter(self._logits(asked, size)) if asked else iter(())
            for prefix, out in zip(prefixes[part], excluded[part], strict=True):
                if prefix is None:
                    rankings.append(shared[frozenset(out)])
                else:
                    scores = next(logits)
                    scores[list(out)] = NEVER
                    rankings.append(self._top(scores, k, "gru"))
        return rankings

    def _rankings(self, queries: list[Rows | None], known: list[int], popular: Ranking) -> list[Ranking]:
        """Rankings for evaluation: of each query only the items known just before it."""
        asked = [query for query in queries if query is not None]
        logits = iter(self._logits(asked, len(self._vocabulary)) if asked else ())
        rankings = []
        for query, before in zip(queries, known, strict=True):
            rankings.append(popular if query is None else self._top(next(logits)[:before], LEARNED_K, "gru"))
        return rankings

    @torch.no_grad()
    def _logits(self, prefixes: Sequence[Rows], items: int) -> Tensor:
        """Scores of every known item: [Q, items]."""
        padded, lengths = _padded(prefixes)
        places = torch.from_numpy(padded)  # [Q, 5]
        inputs = self._items[places.clamp(min=0)] * (places >= 0)[:, :, None]  # [Q, 5, d]
        queries = self._encoder(inputs, torch.from_numpy(lengths)) * self._encoder.scale  # [Q, d]
        return torch.addmm(self._bias[:items], queries, self._items[:items].T)

    def _top(self, scores: Tensor, k: int, strategy: str) -> Ranking:
        best, rows = torch.topk(scores, min(k, len(scores)))
        names = self._vocabulary.items
        kept = [(names[row], score) for row, score in zip(rows.tolist(), best.tolist(), strict=True) if score > NEVER]
        count = len(kept)
        return Ranking([item for item, _ in kept], [score for _, score in kept], [strategy] * count, [None] * count, strategy)

    def _popular(self, k: int, excluded: AbstractSet[int]) -> Ranking:
        scores = torch.from_numpy(self._counts[: len(self._vocabulary)].astype(np.float32))
        scores[list(excluded)] = NEVER
        return self._top(scores, k, "popularity")


def _padded(prefixes: Sequence[Sequence[int] | Rows]) -> tuple[Rows, Rows]:
    """Prefixes of up to 5 rows, oldest first, filled with -1 [R, 5]; and their lengths [R]."""
    padded = np.full((len(prefixes), LAST), -1, np.int64)
    for n, prefix in enumerate(prefixes):
        padded[n, : len(prefix)] = prefix
    return padded, np.array([len(prefix) for prefix in prefixes], np.int64)


@torch.no_grad()
def _adagrad(parameters: Tensor, seen: Tensor, rows: Tensor, gradient: Tensor) -> None:
    """One step of row-wise Adagrad (one accumulator per row) on these rows of ``parameters``, in place."""
    squares = gradient.square() if gradient.dim() == 1 else gradient.square().mean(1)
    seen[rows] += squares
    rate = ROW_RATE / (seen[rows].sqrt() + 1e-8)
    parameters[rows] -= (rate if gradient.dim() == 1 else rate[:, None]) * gradient
