"""The small interface behind which every model lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.state import State
from models.transition import NO_DWELL, Transitions

TESTED_K = 20
"""Length of the rankings that prequential tests look at."""
POPULAR = "popularity"
"""The strategy for whoever has no known item."""


class QueryLike(Protocol):
    """What a ranking is asked for; `Query` is the plain one, and says what each means."""

    @property
    def prefix(self) -> Sequence[str]: ...
    @property
    def excluded(self) -> AbstractSet[str]: ...
    @property
    def length(self) -> int | None: ...
    @property
    def dwell(self) -> float: ...
    @property
    def allowed(self) -> AbstractSet[str] | None: ...
    @property
    def per_expert(self) -> bool: ...


class Query(NamedTuple):
    """What a ranking is asked for: a session's last items, oldest first, items it must not contain, and the only ones it may.

    ``allowed`` names the items of a category, say; ``None`` allows all. ``length`` and ``dwell`` are as in `Transitions`, with
    the last interaction counted; no length is that of the prefix. ``per_expert`` asks what each expert
    would have ranked by itself.
    """

    prefix: Sequence[str]
    excluded: AbstractSet[str] = frozenset()
    length: int | None = None
    dwell: float = NO_DWELL
    allowed: AbstractSet[str] | None = None
    per_expert: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer: items with descending scores, and per item a reason and the prefix item it is because of, if any.

    ``per_expert`` holds the first 20 items of each expert, by its name, where a mixture was asked for them.
    """

    items: list[str]
    scores: list[float]
    reasons: list[str]
    because: list[str | None]
    strategy: str
    per_expert: Mapping[str, list[str]] | None = None


class Parameters(NamedTuple):
    """What was trained, in absolute values: what a follower lacks to rank as its learner does.

    ``rows`` float32[N, d + 1] are embeddings and biases of ``items``; ``blocks`` are whole arrays by name. ``steps`` and
    ``drifts`` are the learner's.
    """

    steps: int
    drifts: int
    items: list[str]
    rows: NDArray[np.float32]
    blocks: dict[str, NDArray[np.float32]]


class Recommender(Protocol):
    """A model that ranks now and learns online. Not safe for threads: one thread owns it.

    Its state is a function of the transitions log: per source partition it holds the highest source offset applied, and
    skips what is not above it.
    """

    @property
    def position(self) -> Mapping[int, int]:
        """Highest source offset applied, per source partition."""
        ...

    def reposition(self, position: Mapping[int, int]) -> None:
        """Go on as if these were the highest source offsets applied: for a model that begins on another log."""
        ...

    @property
    def steps(self) -> int:
        """Learning steps taken: the model's version."""
        ...

    @property
    def step_size(self) -> int:
        """A learning step closes at this many transitions; 0 for a model that does not learn."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """Items known."""
        ...

    @property
    def evicted_items(self) -> int:
        """Items forgotten because the vocabulary was full."""
        ...

    @property
    def skipped_steps(self) -> int:
        """Steps of the optimisers left out because the loss was not finite."""
        ...

    @property
    def drifts(self) -> int:
        """Soft resets after the hit rate fell."""
        ...

    @property
    def loss(self) -> float:
        """Mean training loss per example of the last step, in nats; NaN before the first."""
        ...

    @property
    def gradient_norm(self) -> float:
        """Norm of the last step's gradient of the items' embeddings; NaN before the first, and after a restart."""
        ...

    @property
    def diverged(self) -> bool:
        """Whether training has gone wrong, so that the parameters are to be given up: see `rollback`."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether the parameters may be kept, to go back to."""
        ...

    def head(self, share: float) -> frozenset[str]:
        """The fewest items that have this share of the recent interactions: the last 20,000, fading."""
        ...

    def warmup(self) -> None:
        """Compile whatever compiles, on the thread that will own the model, and change nothing."""
        ...

    def follow(self, batch: Transitions) -> None:
        """Apply counts and vocabulary, without training."""
        ...

    def learn(self, batch: Transitions) -> None:
        """Take one learning step."""
        ...

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        """Take the same step; returns the k items that the model ranked for each prefix before it. Skipped rows rank nothing."""
        ...

    def changes(self, since: int) -> tuple[Parameters, int]:
        """Copies of the parameters that changed since a mark, and the next mark. Mark 0 is before everything."""
        ...

    def apply(self, parameters: Parameters) -> None:
        """Take a learner's parameters; items that are not known here are passed over."""
        ...

    def rollback(self, good: State) -> None:
        """Take the parameters of an earlier state of such a model. Position and counts stay."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next step or ranking depends on, by name. Arrays may be the model's own: copy what must last."""
        ...

    def restore(self, state: State) -> None:
        """Become the model that `state` was taken of; only for a new model of the same kind and settings."""
        ...

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        """Rank per query the k best of the known items, and of its own, that it may have. Never changes the model."""
        ...
