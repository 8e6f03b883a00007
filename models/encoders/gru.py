"""The default encoder: q = s (P h + the recency sum), with h the state of a GRU over five items.

Cho et al., *Learning phrase representations using RNN encoder-decoder*, 2014, as in Hidasi et al.,
*Session-based recommendations with recurrent neural networks*, ICLR 2016. Forward and backward are
written by hand over BLAS and small kernels. At these sizes that is three to four times as fast as
autograd; a test checks that outputs and gradients equal those of `torch.nn.GRU`. P starts at zero.
Decoupled weight decay of 3 on GRU and P prevents overfitting of the replay.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.encoders.encoder import LAST, D
from models.encoders.recency import MAX_NORM, RATE, clip, initial_weights, recency_sum, recency_sum_gradient, scaled
from models.kernels.adam import Adam
from models.kernels.linear import add_product, multiply
from models.kernels.numerics import KERNEL, ONE, Floats, Ints, sigmoid, tanh
from models.state import State, nested, part

DECAY = 3.0
SIZES = (D * 3 * D, D * 3 * D, 2 * 3 * D, D * D)


class GRUWeights(NamedTuple):
    """Views into one flat vector.

    The 3d columns are the gates in PyTorch's order: reset, update, new.
    """

    input: Floats  # [d, 3d]
    hidden: Floats  # [d, 3d]
    bias: Floats  # [2, 3d] of input and hidden
    project: Floats  # [d, d] P


def views(flat: Floats) -> GRUWeights:
    """Views of the parts of a flat vector of weights, or of their gradient."""
    w, u, b, p = np.split(flat, np.cumsum(SIZES)[:-1])
    return GRUWeights(w.reshape(D, 3 * D), u.reshape(D, 3 * D), b.reshape(2, 3 * D), p.reshape(D, D))


class Packed(NamedTuple):
    """Buffers of one run over R windows, which are sorted by length, longest first.

    Step t reads the (5 - t)-th last items, so it has only the first ``active[t]`` rows. The arrays
    with 5R rows contain the steps one after the other, step t from row ``start[t]``.
    """

    active: NDArray[np.int64]  # [5]
    start: NDArray[np.int64]  # [6]
    order: NDArray[np.int64]  # [R] the window that each row is of
    x: Floats  # [5R, d] embeddings
    h: Floats  # [5R, d] states after the step
    from_input: Floats  # [5R, 3d] x @ input weights; in backward their gradient
    from_hidden: Floats  # [5R, 3d] h @ hidden weights; in backward their gradient
    gates: Floats  # [4, 5R, d] reset, update and new gate, and the hidden state's part of the new gate


def new_packed(rows: int) -> Packed:
    """Buffers for so many windows."""
    return Packed(
        np.zeros(LAST, np.int64),  # [5]
        np.zeros(LAST + 1, np.int64),  # [6]
        np.zeros(rows, np.int64),  # [R]
        np.zeros((LAST * rows, D), np.float32),  # [5R, d]
        np.zeros((LAST * rows, D), np.float32),  # [5R, d]
        np.zeros((LAST * rows, 3 * D), np.float32),  # [5R, 3d]
        np.zeros((LAST * rows, 3 * D), np.float32),  # [5R, 3d]
        np.zeros((4, LAST * rows, D), np.float32),  # [4, 5R, d]
    )


class GRU:
    """The GRU `Encoder`."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed + 5)
        flat = np.zeros(sum(SIZES), np.float32)  # [P]
        flat[: -D * D] = rng.uniform(-1 / 8, 1 / 8, len(flat) - D * D)
        self.recency = Adam(initial_weights(), RATE)
        self.optimiser = Adam(flat, RATE, decay=DECAY)
        self.weights = views(flat)
        self._gradient = np.zeros_like(flat)  # [P]
        self._parts = views(self._gradient)
        self._recency_gradient = np.zeros(LAST + 1, np.float32)  # [6]
        self._packed = new_packed(0)
        self._last: tuple[Floats, Ints, Floats] | None = None

    def encode(self, embedded: Floats, places: Ints) -> Floats:
        return scaled(self._run(embedded, places), self.recency.weights[LAST])

    def forward(self, embedded: Floats, places: Ints) -> Floats:
        unscaled = self._run(embedded, places)
        self._last = embedded, places, unscaled
        return scaled(unscaled, self.recency.weights[LAST])

    def backward(self, gradient: Floats, embedded_gradient: Floats) -> bool:
        assert self._last is not None, "call forward before backward"
        embedded, places, unscaled = self._last
        recency, own = self.recency.weights, self._recency_gradient
        own[:LAST], own[LAST] = 0, np.vdot(gradient, unscaled)
        gradient = gradient * recency[LAST]  # [R, d]
        recency_sum_gradient(embedded, places, recency[:LAST], gradient, embedded_gradient, own)
        self._back_through_time(gradient, places, embedded_gradient)
        finite = clip(MAX_NORM, self._gradient, own)
        if finite:
            self.optimiser.step(self._gradient)
            self.recency.step(own)
        return finite

    def parameters(self) -> dict[str, Floats]:
        return {"gru": self.optimiser.weights, "recency": self.recency.weights}

    def state(self) -> dict[str, NDArray[Any]]:
        return nested(gru=self.optimiser.state(), recency=self.recency.state())

    def restore(self, state: State) -> None:
        self.optimiser.restore(part(state, "gru"))
        self.recency.restore(part(state, "recency"))

    def _run(self, embedded: Floats, places: Ints) -> Floats:
        """The unscaled query vectors [R, d]; leaves in the buffers what the gradient needs."""
        w, s = self.weights, self._buffers(len(places))
        pack(embedded, places, s.x, s.order, s.active, s.start)
        end = s.start[LAST]
        multiply(s.x[:end], w.input, s.from_input[:end])  # [sum of active, d] @ [d, 3d]
        before = s.h[:0]  # [0, d]
        for t in range(LAST):
            if len(before):
                from_hidden = s.from_hidden[s.start[t] - len(before) : s.start[t]]  # [active before, 3d]
                multiply(before, w.hidden, from_hidden)  # [active before, d] @ [d, 3d]
            cell(t, s.start, s.from_input, s.from_hidden, w.bias, s.h, s.gates)
            before = s.h[s.start[t] : s.start[t + 1]]  # [active, d]
        projected = multiply(before, w.project, np.empty((len(places), D), np.float32))  # [R, d] @ [d, d]
        queries = np.empty((len(places), D), np.float32)  # [R, d]
        recency_sum(embedded, places, self.recency.weights[:LAST], queries)
        queries[s.order[: len(places)]] += projected
        return queries

    def _back_through_time(self, gradient: Floats, places: Ints, embedded_gradient: Floats) -> None:
        """Write the gradient by the weights, and add that by the embeddings."""
        w, g, s = self.weights, self._parts, self._buffers(len(places))
        gradient = gradient[s.order[: len(places)]]  # [R, d] in the order of the packed rows
        multiply(s.h[s.start[LAST - 1] : s.start[LAST]].T, gradient, g.project)  # [d, R] @ [R, d]
        dh = multiply(gradient, w.project.T, np.empty_like(gradient))  # [R, d] @ [d, d]
        g.bias[:], g.hidden[:] = 0, 0
        for t in range(LAST - 1, -1, -1):
            cell_gradient(t, s.start, s.from_input, s.from_hidden, g.bias, s.h, s.gates, dh)
            if t and s.active[t - 1]:
                from_hidden = s.from_hidden[s.start[t - 1] : s.start[t]]  # [active before, 3d]
                add_product(from_hidden, w.hidden.T, dh[: s.active[t - 1]])  # [active before, 3d] @ [3d, d]
        end, last = s.start[LAST], s.start[LAST - 1]
        multiply(s.x[:end].T, s.from_input[:end], g.input)  # [d, sum of active] @ [sum of active, 3d]
        if last:
            multiply(s.h[:last].T, s.from_hidden[:last], g.hidden)  # [d, last] @ [last, 3d]
        multiply(s.from_input[:end], w.input.T, s.x[:end])  # x becomes its gradient
        unpack(s.x, places, s.order, s.active, embedded_gradient)

    def _buffers(self, rows: int) -> Packed:
        if rows > len(self._packed.order):
            self._packed = new_packed(rows)
        return self._packed


@njit(**KERNEL)
def pack(embedded, places, x, order, active, start):  # type: ignore[no-untyped-def]
    """Fill a `Packed`: sort the windows by length and gather their items' embeddings by step."""
    last, rows = active.shape[0], places.shape[0]
    n = 0
    for length in range(last, 0, -1):
        for i in range(rows):
            if places[i, length - 1] >= 0 and (length == last or places[i, length] < 0):
                order[n] = i
                n += 1
        active[last - length] = n
    at = 0
    for t in range(last):
        start[t] = at
        for i in range(active[t]):
            u = places[order[i], last - 1 - t]
            for d in range(x.shape[1]):
                x[at, d] = embedded[u, d]
            at += 1
    start[last] = at


@njit(**KERNEL)
def unpack(gradient, places, order, active, embedded_gradient):  # type: ignore[no-untyped-def]
    """Add the gradient by the packed x [5R, d] to that by the embeddings [U, d]."""
    last, at = active.shape[0], 0
    for t in range(last):
        for i in range(active[t]):
            u = places[order[i], last - 1 - t]
            for d in range(gradient.shape[1]):
                embedded_gradient[u, d] += gradient[at, d]
            at += 1


@njit(**KERNEL)
def cell(t, start, from_input, from_hidden, bias, states, gates):  # type: ignore[no-untyped-def]
    """Step t of the GRU, for its A rows: write ``gates`` and the states after the step.

    The first C rows continue from their states after step t - 1, the others start from zero. The
    arrays are those of a `Packed`.

    Each loop is short, because LLVM does not vectorise a loop with more arrays or with a branch:
    the cell would take five times as long.
    """
    first, begin, end = start[max(t - 1, 0)], start[t], start[t + 1]
    gi, gh = from_input[begin:end], from_hidden[first:begin]  # [A, 3d], [C, 3d]
    h, after = states[first:begin], states[begin:end]  # [C, d], [A, d]
    reset, update, new, inner = gates[0, begin:end], gates[1, begin:end], gates[2, begin:end], gates[3, begin:end]  # [A, d]
    input_bias, hidden_bias = bias[0], bias[1]  # [3d] each
    carried, size = h.shape[0], after.shape[1]
    for i in range(after.shape[0]):
        if i < carried:
            for d in range(size):
                reset[i, d] = sigmoid(gi[i, d] + input_bias[d] + hidden_bias[d] + gh[i, d])
            for d in range(size):
                update[i, d] = sigmoid(gi[i, size + d] + input_bias[size + d] + hidden_bias[size + d] + gh[i, size + d])
            for d in range(size):
                inner[i, d] = hidden_bias[2 * size + d] + gh[i, 2 * size + d]
        else:
            for d in range(size):
                reset[i, d] = sigmoid(gi[i, d] + input_bias[d] + hidden_bias[d])
            for d in range(size):
                update[i, d] = sigmoid(gi[i, size + d] + input_bias[size + d] + hidden_bias[size + d])
            for d in range(size):
                inner[i, d] = hidden_bias[2 * size + d]
        for d in range(size):
            new[i, d] = tanh(gi[i, 2 * size + d] + input_bias[2 * size + d] + reset[i, d] * inner[i, d])
        if i < carried:
            for d in range(size):
                after[i, d] = new[i, d] + update[i, d] * (h[i, d] - new[i, d])
        else:
            for d in range(size):
                after[i, d] = new[i, d] - update[i, d] * new[i, d]


@njit(**KERNEL)
def cell_gradient(t, start, from_input, from_hidden, bias, states, gates, dh):  # type: ignore[no-untyped-def]
    """The gradient of `cell`: ``dh`` [>= A, d] by the states after it becomes that by those before.

    The step's part of ``from_input`` and ``from_hidden`` becomes the gradient by the gates' inputs.
    Those by the biases are added to ``bias`` [2, 3d].
    """
    first, begin, end = start[max(t - 1, 0)], start[t], start[t + 1]
    gi, gh, h = from_input[begin:end], from_hidden[first:begin], states[first:begin]  # [A, 3d], [C, 3d], [C, d]
    reset, update, new, inner = gates[0, begin:end], gates[1, begin:end], gates[2, begin:end], gates[3, begin:end]  # [A, d]
    input_bias, hidden_bias = bias[0], bias[1]  # [3d] each
    carried, size = h.shape[0], dh.shape[1]
    for i in range(end - begin):
        g, r, z, n = dh[i], reset[i], update[i], new[i]
        for d in range(size):
            gi[i, 2 * size + d] = g[d] * (ONE - z[d]) * (ONE - n[d] * n[d])
        for d in range(size):
            gi[i, d] = gi[i, 2 * size + d] * inner[i, d] * r[d] * (ONE - r[d])
        if i < carried:
            for d in range(size):
                gi[i, size + d] = g[d] * (h[i, d] - n[d]) * z[d] * (ONE - z[d])
            for d in range(2 * size):
                gh[i, d] = gi[i, d]
            for d in range(size):
                gh[i, 2 * size + d] = gi[i, 2 * size + d] * r[d]
            for d in range(size):
                g[d] = g[d] * z[d]
        else:
            for d in range(size):
                gi[i, size + d] = -g[d] * n[d] * z[d] * (ONE - z[d])
        for d in range(3 * size):
            input_bias[d] += gi[i, d]
        for d in range(2 * size):
            hidden_bias[d] += gi[i, d]
        for d in range(size):
            hidden_bias[2 * size + d] += gi[i, 2 * size + d] * r[d]
