"""The protocol of encoders, which turn a prefix into a query vector and learn from its gradient."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from models.kernels.numerics import Floats, Ints
from models.state import State

D = 64
"""Length of embeddings and query vectors."""
LAST = 5
"""Items of the prefix that encoders read."""


class Encoder(Protocol):
    """Turns windows of items into query vectors. It owns its weights and their optimiser.

    Only the `Net` that owns the encoder calls it, on the thread that owns the model: in a worker
    the model thread of streams, in evaluation the main thread. A new encoder is a module of this
    package and a line in `registry.py`.

    ``embedded`` float32[U, 64] are embeddings of items. ``places`` int32[R, >= 5] are R windows:
    the rows in ``embedded`` of the last items, most recent first, -1 padded. Each window has at
    least one item.

    Example, one training step::

        queries = encoder.forward(embedded, places)  # [R, 64]
        ...  # compute the loss and its gradients
        finite = encoder.backward(gradient, embedded_gradient)  # [R, 64], [U, 64]
    """

    def encode(self, embedded: Floats, places: Ints) -> Floats:
        """Query vectors [R, 64] for ranking, and for testing before a step.

        `Net.queries` calls it with the table of all items as ``embedded``. It changes no weight.
        The result is valid until the next call.
        """
        ...

    def forward(self, embedded: Floats, places: Ints) -> Floats:
        """Query vectors [R, 64], as `encode`, keeping what `backward` needs.

        `Net.learn` calls it once per step. The caller must not change the arguments before
        `backward`.
        """
        ...

    def backward(self, gradient: Floats, embedded_gradient: Floats) -> bool:
        """Take one optimiser step for the last `forward`; returns whether its gradient was finite.

        `Net.learn` calls it at most once after each `forward`, with no `encode` between them.
        ``gradient`` [R, 64] is that of the loss by the result of `forward`. The gradient by the
        embeddings is added to ``embedded_gradient`` [U, 64]. If the encoder's own gradient is not
        finite, it takes no step.
        """
        ...

    def parameters(self) -> dict[str, Floats]:
        """The arrays that `encode` reads, by name: the encoder's own.

        The learner copies them for its followers, and a follower overwrites their values, both
        between two steps.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, optimiser included; `Net.state` calls it between two steps."""
        ...

    def restore(self, state: State) -> None:
        """Copy the state of another encoder of the same kind into this one's arrays.

        `Net.restore` calls it for a new model, and `Net.rollback` between two steps.
        """
        ...
