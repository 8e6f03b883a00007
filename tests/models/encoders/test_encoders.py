"""The hand-written encoders compared with PyTorch's autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from models.encoders import gru
from models.encoders.encoder import LAST, D
from models.encoders.gru import GRU
from models.encoders.recency import MAX_NORM, RecencySum
from models.kernels.numerics import Floats, Ints

ROWS, ITEMS = 7, 20


def windows(rng: np.random.Generator) -> Ints:
    """Windows of every length, most recent item first."""
    places = np.full((ROWS, LAST), -1, np.int32)
    for i in range(ROWS):
        length = 1 + i % LAST
        places[i, :length] = rng.integers(0, ITEMS, length)
    return places


def reference(
    places: Ints, embedded: torch.Tensor, recency: torch.Tensor, net: torch.nn.GRU, project: torch.Tensor
) -> torch.Tensor:
    """The query vectors computed with torch.nn.GRU."""
    queries = []
    for row in places:
        items = torch.tensor([u for u in row if u >= 0], dtype=torch.long)
        _, h = net(embedded[items.flip(0)][None])
        recent = (recency[: len(items), None] * embedded[items]).sum(0)
        queries.append(recency[LAST] * (h[0, 0] @ project + recent))
    return torch.stack(queries)


def test_outputs_and_gradients_of_the_gru_equal_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    encoder, places = GRU(0), windows(rng)
    encoder.weights.project[:] = rng.normal(0, 0.1, (D, D))
    embedded: Floats = rng.normal(0, 1 / 8, (ITEMS, D)).astype(np.float32)
    net = torch.nn.GRU(D, D, batch_first=True)
    w = encoder.weights
    with torch.no_grad():
        net.weight_ih_l0.copy_(torch.from_numpy(w.input.T.copy()))
        net.weight_hh_l0.copy_(torch.from_numpy(w.hidden.T.copy()))
        net.bias_ih_l0.copy_(torch.from_numpy(w.bias[0]))
        net.bias_hh_l0.copy_(torch.from_numpy(w.bias[1]))
    leaf = torch.tensor(embedded, requires_grad=True)
    recency = torch.tensor(encoder.recency.weights, requires_grad=True)
    project = torch.tensor(w.project, requires_grad=True)
    expected = reference(places, leaf, recency, net, project)
    queries = encoder.forward(embedded, places)
    np.testing.assert_allclose(queries, expected.detach().numpy(), atol=1e-5)
    gradient: Floats = rng.normal(0, 0.01, queries.shape).astype(np.float32)
    expected.backward(torch.from_numpy(gradient))
    taken: list[Floats] = []
    monkeypatch.setattr(encoder.optimiser, "step", lambda g: taken.append(g.copy()))
    monkeypatch.setattr(encoder.recency, "step", lambda g: taken.append(g.copy()))
    into = np.zeros_like(embedded)
    encoder.backward(gradient, into)
    assert leaf.grad is not None
    np.testing.assert_allclose(into, leaf.grad.numpy(), atol=1e-5)
    weights = gru.views(taken[0])
    ours = [weights.input, weights.hidden, *weights.bias, weights.project]
    theirs = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0, net.bias_hh_l0, project]
    for mine, parameter in zip(ours, theirs, strict=True):
        assert parameter.grad is not None
        want = parameter.grad.numpy()
        np.testing.assert_allclose(mine, want.T if parameter is not project and mine.ndim == 2 else want, atol=1e-5)
    assert recency.grad is not None
    np.testing.assert_allclose(taken[1], recency.grad.numpy(), atol=1e-5)


def test_outputs_and_gradients_of_the_recency_sum_equal_those_of_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    encoder, places = RecencySum(), windows(rng)
    embedded: Floats = rng.normal(0, 1 / 8, (ITEMS, D)).astype(np.float32)
    leaf, weights = torch.tensor(embedded, requires_grad=True), torch.tensor(encoder.optimiser.weights, requires_grad=True)
    rows = [[u for u in row if u >= 0] for row in places.tolist()]
    expected = weights[LAST] * torch.stack([(weights[: len(row), None] * leaf[row]).sum(0) for row in rows])
    queries = encoder.forward(embedded, places)
    np.testing.assert_allclose(queries, expected.detach().numpy(), atol=1e-6)
    gradient: Floats = rng.normal(0, 0.01, queries.shape).astype(np.float32)
    expected.backward(torch.from_numpy(gradient))
    taken: list[Floats] = []
    monkeypatch.setattr(encoder.optimiser, "step", lambda g: taken.append(g.copy()))
    into = np.zeros_like(embedded)
    encoder.backward(gradient, into)
    assert leaf.grad is not None
    assert weights.grad is not None
    np.testing.assert_allclose(into, leaf.grad.numpy(), atol=1e-6)
    np.testing.assert_allclose(taken[0], weights.grad.numpy(), atol=1e-5)


def test_a_large_gradient_is_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, places = RecencySum(), windows(np.random.default_rng(2))
    embedded = np.ones((ITEMS, D), np.float32)
    taken: list[Floats] = []
    monkeypatch.setattr(encoder.optimiser, "step", lambda g: taken.append(g.copy()))
    encoder.forward(embedded, places)
    encoder.backward(np.ones((ROWS, D), np.float32), np.zeros_like(embedded))
    assert math.isclose(float(np.linalg.norm(taken[0])), MAX_NORM, rel_tol=1e-5)
