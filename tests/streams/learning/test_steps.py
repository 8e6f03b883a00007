from __future__ import annotations

from models.transition import Transitions
from streams.events.records import Transition
from streams.learning.steps import Steps


def transition(offset: int) -> Transition:
    return Transition(
        source_partition=0, source_offset=offset, prefix=[], prefix_length=0, unique_items=0, item_id=f"i{offset}",
        event_type="view", weight=1.0, timestamp=0,
    )  # fmt: skip


def closed(size: int, times: list[int]) -> list[Transitions]:
    steps = Steps(size)
    return [batch for n, at in enumerate(times) for batch, _ in steps.add(transition(n), at, n)]


def test_a_step_closes_at_its_size() -> None:
    assert [batch.source_offset for batch in closed(2, [0, 1, 2, 3, 4])] == [[0, 1], [2, 3]]


def test_a_step_closes_before_a_transition_a_second_after_its_first() -> None:
    assert [batch.source_offset for batch in closed(10, [0, 999, 1000, 1999, 2500])] == [[0, 1], [2, 3]]


def test_a_size_of_one_closes_at_once() -> None:
    assert [batch.source_offset for batch in closed(1, [0, 5000])] == [[0], [1]]


def test_each_step_has_the_offset_at_which_the_next_one_begins() -> None:
    steps = Steps(2)
    times = [(10, 0), (11, 1), (14, 2), (17, 5000), (19, 5001)]
    assert [following for offset, at in times for _, following in steps.add(transition(offset), at, offset)] == [12, 17, 20]
