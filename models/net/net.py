"""The net: an encoder's query vector against tied item embeddings, trained by sampled softmax.

logit of item x = q . e_x + b_x. A step takes the new examples and some replayed ones; the candidates of its softmax are all
their targets and shared negatives, half from recent events and half from all known items. Embeddings and biases learn by
Adagrad with one accumulator per item.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.encoders.encoder import LAST, D, Encoder
from models.kernels.linear import multiply
from models.kernels.numerics import KERNEL, ONE, ZERO, Floats, Ints, below, f4
from models.kernels.sampled_softmax import assemble, softmax, take
from models.kernels.topk import ABSENT
from models.net.guard import Guard, norm
from models.state import State, copy_rows, nested, part, scalar

RATE = f4(0.1)
FIRST_ACCUMULATED = 1e-4
RECENT = 20_000
REPLAY = 100_000
NEIGHBOURS, KEPT_RANDOM = 3, f4(0.3)
NORM_SAMPLE = 4096
NO_WINDOW: Ints = np.full(NEIGHBOURS, -1, np.int32)


class ItemTable(NamedTuple):
    """What is learned of each item."""

    embedding: Floats  # [capacity, d]
    bias: Floats  # [capacity]
    embedding_seen: Floats  # [capacity] Adagrad's accumulators
    bias_seen: Floats  # [capacity]
    recent: Floats  # [capacity] how often it is among the recent events
    mark: Ints  # [capacity] scratch: its place among the items of a step, -1 for none


def new_items(capacity: int) -> ItemTable:
    """No item is known."""
    return ItemTable(
        np.zeros((capacity, D), np.float32),
        np.zeros(capacity, np.float32),
        np.full(capacity, FIRST_ACCUMULATED, np.float32),
        np.full(capacity, FIRST_ACCUMULATED, np.float32),
        np.zeros(capacity, np.float32),
        np.full(capacity, -1, np.int32),
    )


class Net:
    """Embeddings, the encoder, and what they are trained on."""

    def __init__(
        self, encoder: Encoder, seed: int, *, capacity: int, most: int, replayed: int = 48, negatives: int = 256
    ) -> None:
        self.encoder, self.replayed, self.negatives = encoder, replayed, negatives
        self.items = new_items(capacity)
        self.recent = np.full(RECENT, -1, np.int32)  # ring of the items of the last events
        self.events = 0
        self.examples = np.full((REPLAY, LAST + 1), -1, np.int32)  # ring of windows, the target last
        self.weights = np.zeros(REPLAY, np.float32)
        self.trained = self.skipped = 0
        self.loss = self.gradient_norm = math.nan
        self.random = np.array([0x9E3779B97F4A7C15 ^ (seed + 1)], np.uint64)
        self.guard = Guard()
        self.clock = 0  # counts steps since the start of the process
        self.touched = np.zeros(capacity, np.int64)  # the clock when each row changed last
        rows = most + replayed
        self._step = _Step(rows, negatives + rows, negatives + rows * (1 + LAST))

    def add(self, row: int, window: Ints) -> None:
        """A new item begins near the last ones of the session it came in."""
        begin_near(self.items, row, window, self.random)
        self.touched[row] = self.clock + 1

    def forget(self, gone: NDArray[np.bool_]) -> None:
        """Forget the items of the rows that are ``gone``, and every example that names one."""
        items = self.items
        items.embedding[gone] = 0
        items.bias[gone] = ABSENT
        items.embedding_seen[gone] = items.bias_seen[gone] = FIRST_ACCUMULATED
        items.recent[gone] = 0
        padded = np.append(gone, False)  # row -1 stands for no item
        self.recent[padded[self.recent]] = -1
        self.examples[padded[self.examples].any(1)] = -1

    def flush(self) -> None:
        """Forget the examples."""
        self.trained = 0

    def grow(self, more: int) -> None:
        """Room for more items."""
        self.items = ItemTable(*(np.concatenate(pair) for pair in zip(self.items, new_items(more), strict=True)))
        self.touched = np.append(self.touched, np.zeros(more, np.int64))

    def queries(self, windows: Ints) -> Floats:
        """Query vectors [B, d] of windows int32[B, >= 5]."""
        if not len(windows):
            return np.zeros((0, D), np.float32)
        return self.encoder.encode(self.items.embedding, windows)

    def logits(self, queries: Floats, height: int, out: Floats) -> None:
        """Scores without the bias of the first ``height`` rows, into out [>= B, >= height]."""
        if not len(queries):
            return
        multiply(queries, self.items.embedding[:height].T, out[: len(queries), :height])

    def score(self, queries: Floats, rows: Ints) -> Floats:
        """Scores [B, N] of some rows."""
        scores = multiply(queries, self.items.embedding[rows].T, np.zeros((len(queries), len(rows)), np.float32))
        scores += self.items.bias[rows]
        return scores

    def sampled_norm(self, queries: Floats, height: int) -> Floats:
        """The log of the sum over all rows of e ** score [B], estimated from evenly spaced ones."""
        rows = np.linspace(0, height - 1, min(height, NORM_SAMPLE)).astype(np.int32)
        scores = self.score(queries, rows)
        largest = scores.max(1, keepdims=True)
        norm = np.log(np.exp(scores - largest).sum(1)) + largest[:, 0] + math.log(height / len(rows))
        return np.asarray(norm, np.float32)

    def state(self, height: int) -> dict[str, NDArray[Any]]:
        """Everything, by name; of the first ``height`` items, and of the examples what is stored."""
        held = min(self.trained, REPLAY)
        names = ("events", "trained", "skipped")
        numbers: dict[str, NDArray[Any]] = {name: scalar(int(getattr(self, name))) for name in names}
        items = {name: array[:height] for name, array in zip(ItemTable._fields, self.items, strict=True) if name != "mark"}
        rings: dict[str, NDArray[Any]] = {
            "recent": self.recent,
            "examples": self.examples[:held],
            "weights": self.weights[:held],
            "random": self.random,
        }
        numbers |= {"loss": scalar(float(self.loss)), "guard": self.guard.state()}
        return numbers | rings | nested(items=items, encoder=self.encoder.state())

    def restore(self, state: State) -> None:
        """Become what another was; there must be room for its items."""
        for name in ("events", "trained", "skipped"):
            setattr(self, name, int(state[name][0]))
        self.loss = float(state["loss"][0])
        self.guard.restore(state.get("guard"))
        names = [name for name in ItemTable._fields if name != "mark"]
        copy_rows([getattr(self.items, name) for name in names], names, part(state, "items"))
        copy_rows((self.recent, self.examples, self.weights, self.random), ("recent", "examples", "weights", "random"), state)
        self.encoder.restore(part(state, "encoder"))

    def learn(self, windows: Ints, targets: Ints, weights: Floats, height: int) -> None:
        """One step on new examples: windows int32[R, >= 5], targets int32[R]; negatives are of the first ``height`` rows."""
        s, fresh = self._step, len(targets)
        if not fresh:
            return
        s.examples[:fresh, :LAST], s.examples[:fresh, LAST] = windows[:, :LAST], targets
        s.weights[:fresh] = weights
        rows, candidates, used = assemble(
            s.examples, s.weights, fresh, self.replayed if self.trained else 0, self.examples, self.weights, self.trained,
            self.recent, self.events, height, self.negatives, self.items, self.random, s.used, s.targets, s.places, s.shift,
        )  # fmt: skip
        embedded, gradient = s.embedded[:used], s.gradient[:used]
        take(self.items.embedding, s.used, embedded)
        queries = self.encoder.forward(embedded, s.places[:rows])  # [R, d]
        logits = s.logits[: rows * candidates].reshape(rows, candidates)
        multiply(queries, embedded[:candidates].T, logits)
        bias_gradient = s.bias_gradient[:candidates]
        loss = softmax(logits, s.shift, s.targets, s.weights[:rows], bias_gradient)  # logits become their gradient
        if not math.isfinite(loss):
            self._skip()
            return
        multiply(logits.T, queries, gradient[:candidates])
        gradient[candidates:] = 0
        query_gradient = multiply(logits, embedded[:candidates], s.query_gradient[:rows])
        length = norm(gradient) if self.encoder.backward(query_gradient, gradient) else math.nan
        if not math.isfinite(length):
            self._skip()
            return
        self.loss, self.gradient_norm = loss, length
        self.guard.step(loss, float(s.weights[:rows].mean()), candidates)
        self.clock += 1
        self.touched[s.used[:used]] = self.clock
        adagrad(self.items, gradient, bias_gradient, s.used, f4(math.sqrt(rows)))
        slots = np.arange(self.trained, self.trained + fresh) % REPLAY
        self.examples[slots], self.weights[slots] = s.examples[:fresh], s.weights[:fresh]
        self.trained += fresh

    def rollback(self, pairs: Ints, good: State) -> None:
        """Take the parameters of an earlier state; ``pairs`` int32[N, 2]: each row in use, and its row there or -1.

        Rows that were not there begin anew.
        """
        items, there = self.items, part(good, "items")
        known = pairs[pairs[:, 1] >= 0]
        for row in pairs[pairs[:, 1] < 0, 0].tolist():
            items.embedding_seen[row] = items.bias_seen[row] = FIRST_ACCUMULATED
            begin_near(items, row, NO_WINDOW, self.random)
        for name in ("embedding", "bias", "embedding_seen", "bias_seen"):
            getattr(items, name)[known[:, 0]] = there[name][known[:, 1]]
        self.encoder.restore(part(good, "encoder"))
        self.loss = float(good["loss"][0])
        self.guard.reset()
        self.clock += 1
        self.touched[pairs[:, 0]] = self.clock

    def _skip(self) -> None:
        self.skipped += 1
        self.guard.skip(self.items.embedding, self.items.bias, *self.encoder.parameters().values())

    def count(self, rows: Ints) -> None:
        """Note the items of events, from which negatives are drawn."""
        note(rows, self.recent, self.events, self.items)
        self.events += len(rows)


class _Step:
    """Buffers of one step."""

    def __init__(self, rows: int, candidates: int, used: int) -> None:
        self.examples = np.full((rows, LAST + 1), -1, np.int32)
        self.weights = np.zeros(rows, np.float32)
        self.used = np.zeros(used, np.int32)
        self.targets = np.zeros(rows, np.int32)
        self.places = np.zeros((rows, LAST), np.int32)
        self.shift = np.zeros(candidates, np.float32)
        self.embedded, self.gradient = np.zeros((used, D), np.float32), np.zeros((used, D), np.float32)
        self.logits = np.zeros(rows * candidates, np.float32)
        self.bias_gradient = np.zeros(candidates, np.float32)
        self.query_gradient = np.zeros((rows, D), np.float32)


@njit(**KERNEL)
def begin_near(items, row, window, random):  # type: ignore[no-untyped-def]
    """Give a new item 0.7 times the mean of the window's last three and 0.3 times N(0, 1/d); without a window, the latter alone.

    A normal number is the sum of twelve uniform ones, less six.
    """
    vector, size, near = items.embedding[row], items.embedding.shape[1], 0
    kept = f4(ONE / np.sqrt(f4(size)))
    for place in range(NEIGHBOURS):
        if window[place] >= 0 and window[place] != row:
            near += 1
    if near:
        kept *= KEPT_RANDOM
    for d in range(size):
        total = 0
        for _ in range(12):
            total += below(random, 1 << 20)
        vector[d] = kept * f4(f4(total) * f4(2**-20) - f4(6))
    for place in range(NEIGHBOURS):
        x = window[place]
        if x >= 0 and x != row:
            share = (ONE - KEPT_RANDOM) / f4(near)
            for d in range(size):
                vector[d] += share * items.embedding[x, d]
    items.bias[row] = ZERO


@njit(**KERNEL)
def note(rows, recent, events, items):  # type: ignore[no-untyped-def]
    """Put items into the ring of recent ones, and count how often each is in it."""
    for n in range(rows.shape[0]):
        slot = (events + n) % recent.shape[0]
        if recent[slot] >= 0:
            items.recent[recent[slot]] -= ONE
        recent[slot] = rows[n]
        items.recent[rows[n]] += ONE


@njit(**KERNEL)
def adagrad(items, gradient, bias_gradient, used, scale):  # type: ignore[no-untyped-def]
    """Row-wise Adagrad on the mean loss's gradient times ``scale`` (Duchi et al., 2011, with one accumulator per row)."""
    for u in range(gradient.shape[0]):
        x, total = used[u], ZERO
        for d in range(gradient.shape[1]):
            g = gradient[u, d] * scale
            total += g * g
        items.embedding_seen[x] += total / f4(gradient.shape[1])
        rate = RATE * scale / (np.sqrt(items.embedding_seen[x]) + f4(1e-8))
        for d in range(gradient.shape[1]):
            items.embedding[x, d] -= rate * gradient[u, d]
        if u < bias_gradient.shape[0]:
            g = bias_gradient[u] * scale
            items.bias_seen[x] += g * g
            items.bias[x] -= RATE * g / (np.sqrt(items.bias_seen[x]) + f4(1e-8))
