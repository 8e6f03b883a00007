"""The interface of encoders: what turns a prefix into a query vector, and learns from that vector's gradient."""

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
    """Holds its own weights and their optimiser.

    ``places`` int32[R, >= 5]: rows of ``embedded`` [U, 64], most recent item first, -1 padded.
    """

    def encode(self, embedded: Floats, places: Ints) -> Floats:
        """Query vectors [R, 64], to serve. What is returned is overwritten by the next call."""
        ...

    def forward(self, embedded: Floats, places: Ints) -> Floats:
        """The same, remembering what `backward` needs."""
        ...

    def backward(self, gradient: Floats, embedded_gradient: Floats) -> bool:
        """Take one step for the last `forward`, given the gradient [R, 64] at its result; adds to the embeddings' gradient.

        Returns whether its own gradient was finite; if not, it took no step.
        """
        ...

    def parameters(self) -> dict[str, Floats]:
        """The arrays that `encode` reads, by name: the encoder's own, to copy from and to."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything, by name."""
        ...

    def restore(self, state: State) -> None:
        """Become what another was."""
        ...
