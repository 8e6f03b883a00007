"""The epochs of trainers."""

from __future__ import annotations

from streams.training.epochs import Epochs


def test_epochs_rise_with_the_generation_while_the_group_exists() -> None:
    epochs = Epochs()
    assert [epochs.begin(generation, epochs.current) for generation in (1, 2, 7)] == [1, 2, 7]
    assert Epochs().begin(8, known=7) == 8, "another learner continues after the epochs in the log"


def test_epochs_rise_after_the_group_was_deleted() -> None:
    again = Epochs()
    assert [again.begin(generation, known=8) for generation in (1,)] == [9]
    assert again.begin(2, known=9) == 10
    assert Epochs().begin(3, known=10) > 10


def test_no_two_learners_share_an_epoch() -> None:
    learners, seen = [Epochs() for _ in range(3)], [50]
    for generation in range(1, 20):
        seen.append(learners[generation % 3].begin(generation, known=seen[-1]))
    assert seen == sorted(set(seen))
