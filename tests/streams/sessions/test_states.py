"""What is kept between units: bounded, never half done, never what another worker has changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.sessions.recent import Recent
from streams.sessions.states import States
from streams.sessions.step import Session, State, pack

ANN = b"u:ann"


class Store:
    """Counts what is read of it."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}
        self.reads = 0

    def get(self, partition: int, key: bytes) -> bytes | None:
        self.reads += 1
        return self.held.get(key)


def with_session(first_offset: int) -> State:
    return State(sessions=[Session(None, first_offset, 0, 0)])


def do(states: States, store: Store, offset: int) -> State:
    """A unit that begins another session of ann's, up to the store."""
    states.begin()
    state = states.get(0, ANN)
    state.sessions.insert(0, Session(None, offset, 0, 0))
    store.held[ANN] = pack(state, offset)
    states.stored()
    return state


def offsets(state: State) -> list[int]:
    return [session.first_offset for session in state.sessions]


def test_a_state_that_was_stored_is_not_read_again() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    assert offsets(do(states, store, 2)) == [2, 1]
    assert store.reads == 1


def test_what_a_unit_that_was_given_up_has_changed_is_forgotten() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    states.begin()
    states.get(0, ANN).sessions.clear()
    states.begin()
    assert offsets(states.get(0, ANN)) == [1]
    assert store.reads == 2


def test_after_a_rebalance_the_store_is_asked() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    store.held[ANN] = pack(with_session(7), 7)
    states.refresh()
    states.begin()
    assert offsets(states.get(0, ANN)) == [7]


def test_what_was_removed_is_gone() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    states.begin()
    states.empty(0, ANN)
    store.held.clear()
    states.stored()
    states.begin()
    assert states.get(0, ANN) == State()


def test_a_deleted_user_begins_anew_within_the_unit() -> None:
    store = Store()
    states = States(store)  # type: ignore[arg-type]
    do(states, store, 1)
    states.begin()
    states.empty(0, ANN)
    assert states.get(0, ANN) == State()


def test_a_unit_larger_than_what_is_kept_sees_all_that_it_changed() -> None:
    store = Store()
    states = States(store, capacity=2)  # type: ignore[arg-type]
    states.begin()
    for offset in range(9):
        states.get(0, b"u:%d" % offset).sessions.append(Session(None, offset, 0, 0))
    assert [offsets(states.get(0, b"u:%d" % offset)) for offset in range(9)] == [[offset] for offset in range(9)]


@given(st.lists(st.dictionaries(st.integers(0, 30), st.integers(), max_size=6), max_size=20))
def test_what_is_put_at_once_is_held_at_once(units: list[dict[int, int]]) -> None:
    recent: Recent[int, int] = Recent(8)
    for unit in units:
        recent.put_all(unit)
        assert all(recent.get(key) == value for key, value in unit.items())
        assert len(recent) <= 8 + 2 * 6


@given(st.integers(1, 10), st.lists(st.tuples(st.sampled_from(["put", "take"]), st.integers(0, 8)), max_size=60))
def test_of_the_last_half_that_was_put_all_is_there_but_what_was_taken_and_no_more_than_the_capacity(
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
