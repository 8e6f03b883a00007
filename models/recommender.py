"""The protocol of every model, with its queries, rankings and parameters."""

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
"""The strategy of a ranking for a session without a known item."""


class QueryLike(Protocol):
    """A session to rank items for.

    Streams builds one for every event that triggers a ranking, on its event loop: its `Trigger` has
    these fields, so that no copy is made. Serving and evaluation build a `Query`. The model reads
    the fields during `Recommender.rank`, on the thread that owns the model. A query must not change
    until `rank` returns; `rank` does not change it and does not keep it.

    Example::

        query: QueryLike = Query(["phone", "case"], excluded={"charger"}, length=7)
    """

    @property
    def prefix(self) -> Sequence[str]:
        """The session's last items, oldest first; may be empty.

        Items that the model does not know are allowed.
        """
        ...

    @property
    def excluded(self) -> AbstractSet[str]:
        """Items that the ranking must not contain."""
        ...

    @property
    def length(self) -> int | None:
        """How many interactions the session has; ``None`` means as many as the prefix."""
        ...

    @property
    def dwell(self) -> float:
        """Seconds between the session's last two interactions; -1 if there are fewer than two."""
        ...

    @property
    def allowed(self) -> AbstractSet[str] | None:
        """The only items that the ranking may contain, such as a category; ``None`` allows all."""
        ...

    @property
    def per_expert(self) -> bool:
        """Whether the ranking must also say what each expert would have ranked by itself."""
        ...


class Query(NamedTuple):
    """A plain `QueryLike`, which explains the fields."""

    prefix: Sequence[str]
    excluded: AbstractSet[str] = frozenset()
    length: int | None = None
    dwell: float = NO_DWELL
    allowed: AbstractSet[str] | None = None
    per_expert: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """Items by descending score.

    Each has a reason, and the item of the prefix that it is recommended for, if any. ``per_expert``
    has the first 20 items of each expert by its name, if the query asks for that and the model is a
    mixture.
    """

    items: list[str]
    scores: list[float]
    reasons: list[str]
    because: list[str | None]
    strategy: str
    per_expert: Mapping[str, list[str]] | None = None


class Parameters(NamedTuple):
    """Trained parameters as absolute values: what a follower needs to rank as its learner does.

    ``rows`` float32[N, d + 1] are the embeddings and biases of ``items``. ``blocks`` are whole
    arrays by name. ``steps`` and ``drifts`` are those of the learner.
    """

    steps: int
    drifts: int
    items: list[str]
    rows: NDArray[np.float32]
    blocks: dict[str, NDArray[np.float32]]


class Recommender(Protocol):
    """A model that ranks items and learns online.

    A model is not safe for threads: one thread owns it and calls every method. In a worker that is
    the model thread of streams (`ModelThread`); in `ouzel train` and `ouzel evaluate` it is the
    main thread. Only the properties that are single numbers, and `diverged` and `healthy`, may be
    read on another thread: during a step they may have the value from before it.

    State is a function of the transitions log. The model keeps which source offsets it has applied
    (`models.applied`), and it skips transitions with these offsets. A transition that is sent twice
    therefore counts once.

    Example::

        model = build("hybrid", seed=0)
        model.warmup()
        model.learn(batch)  # or model.follow(batch), on a replica that does not train
        (ranking,) = model.rank([Query(["phone", "case"])], k=20)
    """

    @property
    def position(self) -> Mapping[int, int]:
        """The highest source offset applied, per source partition."""
        ...

    def reposition(self, position: Mapping[int, int]) -> None:
        """Continue as if these were the highest source offsets applied.

        `ouzel model import` calls it, in the main thread while no worker runs, for a model that
        learned from another log. The next batches must start after this position.
        """
        ...

    @property
    def steps(self) -> int:
        """Learning steps taken: the model's version."""
        ...

    @property
    def step_size(self) -> int:
        """How many transitions close a learning step; 0 for a model that does not learn."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """The number of known items."""
        ...

    @property
    def evicted_items(self) -> int:
        """Items evicted so far because the vocabulary was full."""
        ...

    @property
    def skipped_steps(self) -> int:
        """Optimiser steps skipped because their loss or gradient was not finite."""
        ...

    @property
    def drifts(self) -> int:
        """Soft resets so far: one after each fall of the hit rate."""
        ...

    @property
    def loss(self) -> float:
        """Mean training loss per example of the last step, in nats; NaN before the first."""
        ...

    @property
    def gradient_norm(self) -> float:
        """Norm of the last step's gradient by the embeddings; NaN before a step of this process."""
        ...

    @property
    def diverged(self) -> bool:
        """Whether training has diverged.

        The learner reads it ten times a second, and calls `rollback` if it is true.
        """
        ...

    @property
    def healthy(self) -> bool:
        """Whether the parameters are worth a snapshot.

        The learner reads it before it writes one.
        """
        ...

    def head(self, share: float) -> frozenset[str]:
        """The fewest items that have this share of recent interactions (half-life 20,000 events).

        Streams calls it in the model thread from time to time, to measure how much of the long tail
        is recommended. It changes nothing.
        """
        ...

    def warmup(self) -> None:
        """Compile every kernel and prepare the calling thread.

        A worker calls it once in the model thread, on a new model, before it restores a snapshot;
        `ouzel warmup`, `train` and `evaluate` call it in the main thread. It changes no state.
        Afterwards no model of the same settings compiles anything in this process.
        """
        ...

    def follow(self, batch: Transitions) -> None:
        """Apply the counts and the vocabulary of a batch, without training.

        A replica that is not the learner's calls it in the model thread, for each step of the log
        in order. Afterwards `position` includes the batch; `steps` is unchanged.
        """
        ...

    def learn(self, batch: Transitions) -> None:
        """Take one learning step: count the batch and train on it.

        The learner's replica calls it in the model thread, for each step of the log in order. A
        batch has at most `step_size` transitions. Afterwards `position` includes the batch and
        `steps` is one higher.
        """
        ...

    def test_then_learn(self, batch: Transitions, k: int = TESTED_K) -> list[Ranking]:
        """Rank k items for each prefix of the batch, then take the same step as `learn`.

        Prequential evaluation calls it in the main thread; workers call `learn`. The rankings are
        those of the model from before the step, one for each transition that was not skipped, in
        order.
        """
        ...

    def changes(self, since: int) -> tuple[Parameters, int]:
        """Copies of the parameters that changed since a mark, and the next mark; mark 0 gives all.

        The learner calls it in the model thread between two steps, at most once a second, and
        publishes the result.
        """
        ...

    def apply(self, parameters: Parameters) -> None:
        """Take the learner's parameters; items that this model does not know are ignored.

        A follower calls it in the model thread between two steps. Raises ``ValueError``, before it
        changes anything, if the parameters have the wrong shape.
        """
        ...

    def rollback(self, good: State) -> None:
        """Take the parameters of an earlier state of a model of the same kind and settings.

        The learner calls it in the model thread once `diverged`. Counts and `position` stay as they
        are; afterwards `diverged` is false.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays that the next step or ranking depends on, by name.

        `models.snapshot.freeze` calls it between two steps on the owner's thread. The arrays may be
        the model's own: copy them before the next step.
        """
        ...

    def restore(self, state: State) -> None:
        """Take the state of another model of the same kind and settings.

        `models.snapshot.restore` calls it once on a new model that no thread owns yet. Afterwards
        the model ranks and learns bit for bit as the other would have.
        """
        ...

    def rank(self, queries: Sequence[QueryLike], k: int, hidden: AbstractSet[str] = frozenset()) -> list[Ranking]:
        """Rank the k best items for each query, out of the known items and those of its own prefix.

        The journey calls it in the model thread with all triggers of a unit of work; evaluation of
        a frozen model calls it in the main thread. ``hidden`` are items that no ranking may
        contain. It never changes the state. A ranking has at most k items.
        """
        ...
