"""The net: an encoder's query vector against tied item embeddings, trained by sampled softmax.

The logit of item x is q . e_x + b_x. One training step takes the new examples and some old ones.
The candidates of its softmax are all their targets and shared negatives, half of them drawn from
recent events and half from all known items. Embeddings and biases learn by Adagrad with one
accumulator per item.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.encoders.encoder import LAST, D, Encoder
from models.kernels.linear import multiply
from models.kernels.numerics import Floats, Ints, f4
from models.kernels.sampled_softmax import Rings, TrainingBatch, assemble, softmax, take
from models.kernels.topk import ABSENT
from models.layout import check_lengths, check_range
from models.net.guard import Guard, norm
from models.net.items import FIRST_ACCUMULATED, NO_WINDOW, ItemTable, adagrad, new_items, note, place_near
from models.profile import Profile
from models.state import State, copy_rows, nested, part, scalar

RECENT = 20_000
REPLAY = 100_000
NO_ROWS: Ints = np.zeros(0, np.int32)  # [0]


class Net:
    """Item embeddings and the encoder, with what they are trained on."""

    def __init__(self, encoder: Encoder, seed: int, capacity: int, profile: Profile) -> None:
        self.encoder, self.replayed, self.negatives = encoder, profile.net_replayed, profile.negatives
        self.items = new_items(capacity)
        self.recent = np.full(RECENT, -1, np.int32)  # [20,000] ring of the items of the last events
        self.events = 0
        self.examples = np.full((REPLAY, LAST + 1), -1, np.int32)  # [100,000, 6] ring of windows, the target last
        self.weights = np.zeros(REPLAY, np.float32)  # [100,000]
        self.trained = self.skipped = 0
        self.loss = self.gradient_norm = math.nan
        self.random = np.array([0x9E3779B97F4A7C15 ^ (seed + 1)], np.uint64)  # [1]
        self.guard = Guard()
        self.changed = NO_ROWS  # [U] rows that the last step changed
        self.clock = 0  # training steps since this process started
        self.touched = np.zeros(capacity, np.int64)  # [capacity] the clock at the last change of each row
        self._step = _new_buffers(profile.step_size + profile.net_replayed, profile.negatives)

    def add(self, row: int, window: Ints) -> None:
        """Start a new item near the last items of its session, ``window`` int32[>= 3]."""
        place_near(self.items, row, window, self.random)
        self.touched[row] = self.clock + 1

    def evict(self, evicted: NDArray[np.bool_]) -> None:
        """Clear the rows marked in ``evicted`` bool[capacity], and every example with one."""
        items = self.items
        items.embedding[evicted] = 0
        items.bias[evicted] = ABSENT
        items.embedding_seen[evicted] = items.bias_seen[evicted] = FIRST_ACCUMULATED
        items.recent[evicted] = 0
        padded = np.append(evicted, False)  # [capacity + 1] row -1 stands for no item
        self.recent[padded[self.recent]] = -1
        self.examples[padded[self.examples].any(1)] = -1

    def flush(self) -> None:
        """Drop the old examples."""
        self.trained = 0

    def grow(self, more: int) -> None:
        """Make room for so many more items."""
        self.items = ItemTable(*(np.concatenate(pair) for pair in zip(self.items, new_items(more), strict=True)))
        self.touched = np.append(self.touched, np.zeros(more, np.int64))  # [capacity]

    def queries(self, windows: Ints) -> Floats:
        """Query vectors [B, d] of windows int32[B, >= 5]."""
        if not len(windows):
            return np.zeros((0, D), np.float32)  # [0, d]
        return self.encoder.encode(self.items.embedding, windows)

    def logits(self, queries: Floats, height: int, out: Floats) -> None:
        """Write the first ``height`` rows' scores, without bias, into ``out`` [>= B, >= height]."""
        if not len(queries):
            return
        multiply(queries, self.items.embedding[:height].T, out[: len(queries), :height])  # [B, d] @ [d, height]

    def score(self, queries: Floats, rows: Ints) -> Floats:
        """Scores [B, N] of N rows for B queries."""
        scores = np.zeros((len(queries), len(rows)), np.float32)  # [B, N]
        multiply(queries, self.items.embedding[rows].T, scores)  # [B, d] @ [d, N]
        scores += self.items.bias[rows]
        return scores

    def state(self, height: int) -> dict[str, NDArray[Any]]:
        """All state by name: that of the first ``height`` items, and the stored examples."""
        stored = min(self.trained, REPLAY)
        names = ("events", "trained", "skipped")
        numbers: dict[str, NDArray[Any]] = {name: scalar(int(getattr(self, name))) for name in names}
        items = {name: array[:height] for name, array in zip(ItemTable._fields, self.items, strict=True) if name != "mark"}
        rings: dict[str, NDArray[Any]] = {
            "recent": self.recent,
            "examples": self.examples[:stored],
            "weights": self.weights[:stored],
            "random": self.random,
        }
        numbers |= {"loss": scalar(float(self.loss)), "guard": self.guard.state()}
        return numbers | rings | nested(items=items, encoder=self.encoder.state())

    def restore(self, state: State, height: int) -> None:
        """Take the state of another net with ``height`` items. There must be room for them.

        Raises ``ValueError`` if a kernel could not read it.
        """
        check_lengths(state, [f"items.{name}" for name in ItemTable._fields if name != "mark"], height)
        check_lengths(state, ("examples", "weights"), min(int(state["trained"][0]), REPLAY))
        for name in ("recent", "examples"):
            check_range(name, state[name], -1, height - 1)
        for name in ("events", "trained", "skipped"):
            setattr(self, name, int(state[name][0]))
        self.loss = float(state["loss"][0])
        self.guard.restore(state.get("guard"))
        names = [name for name in ItemTable._fields if name != "mark"]
        copy_rows([getattr(self.items, name) for name in names], names, part(state, "items"))
        copy_rows((self.recent, self.examples, self.weights, self.random), ("recent", "examples", "weights", "random"), state)
        self.encoder.restore(part(state, "encoder"))

    def learn(self, windows: Ints, targets: Ints, weights: Floats, height: int) -> None:
        """Take one step on new examples: windows int32[F, >= 5], targets int32[F], weights [F].

        Negatives are drawn from the first ``height`` rows. A step whose loss or gradient is not
        finite is skipped and counted.
        """
        s, batch, fresh = self._step, self._step.batch, len(targets)
        self.changed = NO_ROWS
        if not fresh:
            return
        batch.examples[:fresh, :LAST], batch.examples[:fresh, LAST] = windows[:, :LAST], targets
        batch.weights[:fresh] = weights
        rings = Rings(self.examples, self.weights, self.trained, self.recent, self.events)
        replayed = self.replayed if self.trained else 0
        sizes = assemble(batch, fresh, rings, replayed, self.negatives, height, self.items, self.random)
        rows, candidates, used = sizes  # R, C, U
        embedded, gradient = s.embedded[:used], s.gradient[:used]  # [U, d] each
        take(self.items.embedding, batch.used, embedded)
        queries = self.encoder.forward(embedded, batch.places[:rows])  # [R, d]
        logits = s.logits[: rows * candidates].reshape(rows, candidates)  # [R, C]
        multiply(queries, embedded[:candidates].T, logits)  # [R, d] @ [d, C]
        bias_gradient = s.bias_gradient[:candidates]  # [C]
        loss = softmax(logits, batch.shift, batch.targets, batch.weights[:rows], bias_gradient)  # logits become their gradient
        if not math.isfinite(loss):
            self._skip()
            return
        multiply(logits.T, queries, gradient[:candidates])  # [C, R] @ [R, d]
        gradient[candidates:] = 0
        query_gradient = multiply(logits, embedded[:candidates], s.query_gradient[:rows])  # [R, C] @ [C, d]
        length = norm(gradient) if self.encoder.backward(query_gradient, gradient) else math.nan
        if not math.isfinite(length):
            self._skip()
            return
        self.loss, self.gradient_norm = loss, length
        self.guard.step(loss, float(batch.weights[:rows].mean()), candidates)
        self.clock += 1
        self.touched[batch.used[:used]] = self.clock
        self.changed = batch.used[:used]  # valid until the next step
        adagrad(self.items, gradient, bias_gradient, batch.used, f4(math.sqrt(rows)))
        slots = np.arange(self.trained, self.trained + fresh) % REPLAY  # [F]
        self.examples[slots], self.weights[slots] = batch.examples[:fresh], batch.weights[:fresh]
        self.trained += fresh

    def rollback(self, pairs: Ints, good: State) -> None:
        """Take the parameters of an earlier state.

        ``pairs`` int32[N, 2] has each row in use, and the row of the same item in ``good``, or -1.
        An item that ``good`` does not know starts again as a new one.
        """
        items, earlier = self.items, part(good, "items")
        known = pairs[pairs[:, 1] >= 0]  # [K, 2]
        for row in pairs[pairs[:, 1] < 0, 0].tolist():
            items.embedding_seen[row] = items.bias_seen[row] = FIRST_ACCUMULATED
            place_near(items, row, NO_WINDOW, self.random)
        for name in ("embedding", "bias", "embedding_seen", "bias_seen"):
            getattr(items, name)[known[:, 0]] = earlier[name][known[:, 1]]
        self.encoder.restore(part(good, "encoder"))
        self.loss = float(good["loss"][0])
        self.guard.reset()
        self.clock += 1
        self.touched[pairs[:, 0]] = self.clock

    def _skip(self) -> None:
        self.skipped += 1
        self.guard.skip(self.items.embedding, self.items.bias, *self.encoder.parameters().values())

    def count(self, rows: Ints) -> None:
        """Note the items [N] of events; half of the negatives are drawn from the last 20,000."""
        note(rows, self.recent, self.events, self.items)
        self.events += len(rows)


class _Buffers(NamedTuple):
    """Buffers of one step with at most R examples, C candidates and U items."""

    batch: TrainingBatch
    embedded: Floats  # [U, d]
    gradient: Floats  # [U, d] of the embeddings
    logits: Floats  # [R * C]
    bias_gradient: Floats  # [C]
    query_gradient: Floats  # [R, d]


def _new_buffers(rows: int, negatives: int) -> _Buffers:
    candidates, used = negatives + rows, negatives + rows * (1 + LAST)
    batch = TrainingBatch(
        np.full((rows, LAST + 1), -1, np.int32),  # [R, 6]
        np.zeros(rows, np.float32),  # [R]
        np.zeros(used, np.int32),  # [U]
        np.zeros(rows, np.int32),  # [R]
        np.zeros((rows, LAST), np.int32),  # [R, 5]
        np.zeros(candidates, np.float32),  # [C]
    )
    return _Buffers(
        batch,
        np.zeros((used, D), np.float32),  # [U, d]
        np.zeros((used, D), np.float32),  # [U, d]
        np.zeros(rows * candidates, np.float32),  # [R * C]
        np.zeros(candidates, np.float32),  # [C]
        np.zeros((rows, D), np.float32),  # [R, d]
    )
