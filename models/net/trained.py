"""The parameters of a model with a net: how they are published, applied and rolled back."""

from __future__ import annotations

import numpy as np

from models.encoders.encoder import D
from models.experts.memory import Remembering
from models.kernels.numerics import Floats
from models.net.guard import Guard
from models.net.net import Net
from models.recommender import Parameters
from models.state import State, part, texts


class Trained(Remembering):
    """The part of `Recommender` that concerns parameters.

    Counts are not parameters: every replica derives them from the log.
    """

    net: Net
    steps: int
    drifts: int

    @property
    def diverged(self) -> bool:
        return any(guard.diverged for guard in self._guards())

    @property
    def loss(self) -> float:
        return self.net.loss

    @property
    def gradient_norm(self) -> float:
        return self.net.gradient_norm

    @property
    def healthy(self) -> bool:
        return all(guard.healthy for guard in self._guards())

    def changes(self, since: int) -> tuple[Parameters, int]:
        net, items = self.net, self.memory.vocabulary.items
        rows = np.flatnonzero(net.touched[: len(items)] > since)  # [N]
        rows = rows[[items[row] is not None for row in rows.tolist()]]
        values = np.concatenate([net.items.embedding[rows], net.items.bias[rows, None]], axis=1)  # [N, d + 1]
        blocks = {name: block.copy() for name, block in self._blocks().items()}
        return Parameters(self.steps, self.drifts, [str(items[row]) for row in rows.tolist()], values, blocks), net.clock

    def apply(self, parameters: Parameters) -> None:
        blocks = {name: block for name, block in self._blocks().items() if name in parameters.blocks}
        for name, block in blocks.items():
            if len(parameters.blocks[name]) != len(block):
                raise ValueError(f"block {name} has {len(parameters.blocks[name])} values, this model needs {len(block)}")
        expected = (len(parameters.items), D + 1)
        if parameters.items and parameters.rows.shape != expected:
            raise ValueError(f"rows have the shape {parameters.rows.shape}, this model needs {expected}")
        rows = [self.memory.vocabulary.row(item) for item in parameters.items]
        known = [place for place, row in enumerate(rows) if row is not None]
        if known:
            to, values = [row for row in rows if row is not None], parameters.rows[known]  # [K], [K, d + 1]
            self.net.items.embedding[to], self.net.items.bias[to] = values[:, :D], values[:, D]
        for name, block in blocks.items():
            block[:] = parameters.blocks[name]
        self.steps, self.drifts = parameters.steps, parameters.drifts

    def rollback(self, good: State) -> None:
        earlier = {item: row for row, item in enumerate(texts(part(good, "memory.items"))) if item is not None}
        pairs = [(row, earlier.get(item, -1)) for row, item in enumerate(self.memory.vocabulary.items) if item is not None]
        self.net.rollback(np.array(pairs, np.int32).reshape(-1, 2), part(good, "net"))  # [N, 2]

    def _guards(self) -> list[Guard]:
        """The guards that watch the training."""
        return [self.net.guard]

    def _blocks(self) -> dict[str, Floats]:
        """The dense parameters by name: the model's own arrays."""
        return self.net.encoder.parameters()
