"""The small interface behind which every model lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from models.transition import Transitions


class Query(NamedTuple):
    """What a ranking is asked for: a session's last items, oldest first, and items it must not contain."""

    prefix: Sequence[str]
    excluded: AbstractSet[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer: items with descending scores, and per item a reason and the prefix item it is because of, if any."""

    items: list[str]
    scores: list[float]
    reasons: list[str]
    because: list[str | None]
    strategy: str


class Recommender(Protocol):
    """A model that ranks now and learns online. Not safe for threads: one thread owns it.

    Its state is a function of the transitions log: per source partition it holds the highest source offset applied, and
    skips what is not above it.
    """

    @property
    def position(self) -> Mapping[int, int]:
        """Highest source offset applied, per source partition."""
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
    def loss(self) -> float:
        """Mean training loss per example of the last step, in nats; NaN before the first."""
        ...

    def warmup(self) -> None:
        """Compile whatever compiles, on the thread that will own the model, and change nothing."""
        ...

    def follow(self, batch: Transitions) -> None:
        """Apply counts and vocabulary, without training."""
        ...

    def learn(self, batch: Transitions) -> list[Ranking]:
        """Take one learning step, after ranking each prefix with the model as it was before. Skipped rows rank nothing."""
        ...

    def rank(self, queries: Sequence[Query], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        """Rank the k best known items per query that are neither hidden nor excluded. Never changes the model."""
        ...
