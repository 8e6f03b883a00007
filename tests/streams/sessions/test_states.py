"""The cache of states between units: bounded, without half-finished units, and never outdated."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from streams.events.records import Interaction
from streams.sessions.recent import Recent
from streams.sessions.states import LARGE_BYTES, States
from streams.sessions.step import Session, State, pack
from streams.sessions.store import Changes

ANN = b"u:ann"


class Store:
    """A store of one partition that counts its reads."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.reads = 0

    def get(self, partition: int, key: bytes) -> bytes | None:
        self.reads += 1
        return self.values.get(key)


def with_session(first_offset: int) -> State:
    return State(sessions=[Session(None, first_offset, 0, 0)])


def do(states: States, store: Store, offset: int) -> State:
    """Process a unit that begins another session of ann, until it is stored."""
    states.begin()
    state = states.get(0, ANN)
    state.sessions.insert(0, Session(None, offset, 0, 0))
    store.values[ANN] = pack(state, offset)
    states.stored()
    return state


def offsets(state: State) -> list[int]:
    return [session.first_offset for session in state.sessions]


def test_a_cached_state_is_not_read_again() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    assert offsets(do(states, store, 2)) == [2, 1]
    assert store.reads == 1


def test_changes_of_an_abandoned_unit_are_dropped() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    states.begin()
    states.get(0, ANN).sessions.clear()
    states.begin()
    assert offsets(states.get(0, ANN)) == [1]
    assert store.reads == 2


def test_after_a_rebalance_states_are_read_from_the_store() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    store.values[ANN] = pack(with_session(7), 7)
    states.refresh()
    states.begin()
    assert offsets(states.get(0, ANN)) == [7]


def test_a_removed_state_is_empty_in_the_next_unit() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    states.begin()
    states.empty(0, ANN)
    store.values.clear()
    states.stored()
    states.begin()
    assert states.get(0, ANN) == State()


def test_a_deleted_users_state_is_empty_in_the_same_unit() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    states.begin()
    states.empty(0, ANN)
    assert states.get(0, ANN) == State()


def test_a_unit_larger_than_the_cache_sees_all_its_changes() -> None:
    store = Store()
    states = States(store, capacity=2)  # type: ignore[arg-type]
    states.begin()
    for offset in range(9):
        states.get(0, b"u:%d" % offset).sessions.append(Session(None, offset, 0, 0))
    assert [offsets(states.get(0, b"u:%d" % offset)) for offset in range(9)] == [[offset] for offset in range(9)]


@given(st.lists(st.dictionaries(st.integers(0, 30), st.integers(), max_size=6), max_size=20))
def test_entries_that_are_put_together_are_all_held(units: list[dict[int, int]]) -> None:
    recent: Recent[int, int] = Recent(8)
    for unit in units:
        recent.put_all(unit)
        assert all(recent.get(key) == value for key, value in unit.items())
        assert len(recent) <= 8 + 2 * 6


@given(st.integers(1, 10), st.lists(st.tuples(st.sampled_from(["put", "take"]), st.integers(0, 8)), max_size=60))
def test_the_latest_half_is_held_except_for_what_was_taken_and_the_capacity_is_kept(
    half: int, calls: list[tuple[str, int]]
) -> None:
    recent: Recent[int, int] = Recent(2 * half)
    put: list[int] = []
    held: dict[int, int] = {}
    for number, (call, key) in enumerate(calls):
        if call == "put":
            recent.put(key, number)
            put.append(key)
            held[key] = number
        else:
            assert recent.take(key) in (None, held.pop(key, None))
        assert len(recent) <= 2 * half
        for newest in put[-half:]:
            assert recent.get(newest) == held.get(newest)
    recent.clear()
    assert len(recent) == 0


def with_items(item_id: str) -> State:
    """A state of four full sessions."""
    prefix = [Interaction(f"{n:02}{item_id}", 0, "view") for n in range(20)]
    return State(sessions=[Session(None, number, 0, 0, 20, [*prefix]) for number in range(4)])


def test_a_large_state_is_not_kept_and_comes_from_the_store() -> None:
    store, large, small = Store(), with_items("x" * 250), with_items("x" * 34)
    assert len(pack(small, 1)) < LARGE_BYTES < len(pack(large, 1))
    states = States(store)  # type: ignore[arg-type]

    def unit(state: State | None, offset: int) -> State:
        """Read the state of ann; store another one in its place if there is one."""
        states.begin()
        read = states.get(0, ANN)
        changes = Changes(watermark=offset)
        if state is not None:
            read.sessions[:] = state.sessions
            changes.states[ANN] = store.values[ANN] = pack(state, offset)
        states.stored({0: changes})
        return read

    unit(small, 1)
    assert (unit(None, 2), store.reads) == (small, 1)
    unit(large, 3)
    assert (store.reads, unit(None, 4), store.reads) == (1, large, 2), "a small one grows, and is no longer kept"
    assert (unit(None, 5), store.reads) == (large, 3), "it is only read"
    unit(small, 6)
    assert (store.reads, unit(None, 7), store.reads) == (4, small, 5), "a large one shrinks"
    assert (unit(None, 8), store.reads) == (small, 5), "and is kept again"


def test_states_of_the_longest_ids_take_bounded_memory() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    long = "\N{BIRD}" + "x" * 240  # Python stores four bytes for each of its characters
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for user in range(200):
        states.begin()
        key = f"u:{user}".encode()
        state = states.get(0, key)
        state.sessions += with_items(long).sessions
        states.stored({0: Changes(watermark=user, states={key: pack(state, user)})})
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken < 1_000_000
