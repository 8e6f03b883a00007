"""What a model with a net tells its followers, takes from its learner, and goes back to when training went wrong."""

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
    """The part of `Recommender` about parameters. Counts are no parameters: every replica has them from the log."""

    net: Net
    steps: int
    drifts: int

    @property
    def diverged(self) -> bool:
        """Whether the parameters are to be given up."""
        return any(guard.diverged for guard in self._guards())

    @property
    def loss(self) -> float:
        """Mean training loss per example of the last step, in nats; NaN before the first."""
        return self.net.loss

    @property
    def gradient_norm(self) -> float:
        """Norm of the last step's gradient of the items' embeddings; NaN before the first."""
        return self.net.gradient_norm

    @property
    def healthy(self) -> bool:
        """Whether the parameters may be kept, to go back to."""
        return all(guard.healthy for guard in self._guards())

    def changes(self, since: int) -> tuple[Parameters, int]:
        """Copies of the rows that changed since a mark, and of all blocks; the next mark. Mark 0 is before everything."""
        net, items = self.net, self.memory.vocabulary.items
        rows = np.flatnonzero(net.touched[: len(items)] > since)
        rows = rows[[items[row] is not None for row in rows.tolist()]]
        values = np.concatenate([net.items.embedding[rows], net.items.bias[rows, None]], axis=1)
        blocks = {name: block.copy() for name, block in self._blocks().items()}
        return Parameters(self.steps, self.drifts, [str(items[row]) for row in rows.tolist()], values, blocks), net.clock

    def apply(self, parameters: Parameters) -> None:
        """Take a learner's parameters; items that are not known here are passed over. Raises ``ValueError`` for other shapes."""
        blocks = {name: block for name, block in self._blocks().items() if name in parameters.blocks}
        if any(len(parameters.blocks[name]) != len(block) for name, block in blocks.items()):
            raise ValueError("a block of another size")
        if parameters.items and parameters.rows.shape != (len(parameters.items), D + 1):
            raise ValueError("rows of another size")
        rows = [self.memory.vocabulary.row(item) for item in parameters.items]
        known = [place for place, row in enumerate(rows) if row is not None]
        if known:
            to, values = [row for row in rows if row is not None], parameters.rows[known]
            self.net.items.embedding[to], self.net.items.bias[to] = values[:, :D], values[:, D]
        for name, block in blocks.items():
            block[:] = parameters.blocks[name]
        self.steps, self.drifts = parameters.steps, parameters.drifts

    def rollback(self, good: State) -> None:
        """Take the parameters of an earlier state of such a model; position and counts stay, later items begin anew."""
        then = {item: row for row, item in enumerate(texts(part(good, "memory.items"))) if item is not None}
        pairs = [(row, then.get(item, -1)) for row, item in enumerate(self.memory.vocabulary.items) if item is not None]
        self.net.rollback(np.array(pairs, np.int32).reshape(-1, 2), part(good, "net"))

    def _guards(self) -> list[Guard]:
        """What watches the training."""
        return [self.net.guard]

    def _blocks(self) -> dict[str, Floats]:
        """What is dense, by name: the arrays themselves."""
        return self.net.encoder.parameters()
