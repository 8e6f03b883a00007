"""The set of applied offsets: exact where it matters, and never blocked by one wrong offset."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from models.applied import MOST_GAPS, Applied

offsets = st.lists(st.integers(0, 30) | st.integers(0, 2**53), max_size=60)


def added(numbers: Sequence[int]) -> list[int]:
    """The offsets that were new, of those added to a new set in this order."""
    applied = Applied()
    return [offset for offset in numbers if applied.add(0, offset)]


def test_rising_offsets_are_new_once() -> None:
    assert added([0, 1, 5, 5, 1, 0, 6]) == [0, 1, 5, 6]


def test_one_wrong_offset_far_ahead_blocks_no_later_one() -> None:
    assert added([0, 1, 2**62, 2, 3, 3, 2, 2**62, 4]) == [0, 1, 2**62, 2, 3, 4]
    assert added([2**62, 0, 1]) == [2**62, 0, 1]


def test_several_wrong_offsets_block_no_later_one() -> None:
    wrong = [10**12 + n for n in range(100)]
    assert added([7, *wrong, *range(8, 20), *range(8, 20)]) == [7, *wrong, *range(8, 20)]
    nested = [2**40, 2**30, 2**50, 2**20]
    assert added([7, *nested, *range(8, 20)]) == [7, *nested, *range(8, 20)]


def test_partitions_are_independent() -> None:
    applied = Applied()
    assert [applied.add(1, 5), applied.add(2, 5), applied.add(1, 5)] == [True, True, False]
    assert applied.highest == {1: 5, 2: 5}


def test_only_the_widest_gaps_are_kept() -> None:
    jumps = [100 * n * n for n in range(1, 20)]
    applied = Applied()
    for offset in jumps:
        applied.add(0, offset)
    assert len(applied.state()["gaps"]) == MOST_GAPS
    assert not applied.add(0, 50), "in the narrowest gap, which is forgotten"
    assert applied.add(0, jumps[-1] - 1)


@given(offsets)
def test_no_offset_is_new_twice(numbers: list[int]) -> None:
    assert len(set(added(numbers))) == len(added(numbers))


@given(st.lists(st.integers(0, 2**53), max_size=60, unique=True).map(sorted))
def test_every_rising_offset_is_new(numbers: list[int]) -> None:
    assert added(numbers) == numbers


@given(offsets, offsets)
def test_a_restored_set_continues_as_the_original_would(before: list[int], after: list[int]) -> None:
    original = Applied()
    for offset in before:
        original.add(offset % 3, offset)
    restored = Applied.restored(original.state())
    for offset in after:
        assert restored.lacks(offset % 3, offset) == original.lacks(offset % 3, offset)
        assert restored.add(offset % 3, offset) == original.add(offset % 3, offset)
    assert all((restored.state()[name] == array).all() for name, array in original.state().items())


def test_a_state_of_an_earlier_version_has_no_gaps() -> None:
    applied = Applied({3: 7})
    state = applied.state()
    del state["gaps"]
    assert Applied.restored(state).highest == {3: 7}
    assert not Applied.restored(state).lacks(3, 6)
