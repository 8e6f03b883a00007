"""The step: cases with given times, and properties that hold for any order of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.events.records import PREFIX_LENGTH, Event
from streams.sessions.step import (
    OPEN_SESSIONS,
    Limits,
    Outcome,
    Source,
    State,
    Step,
    expired,
    not_again,
    pack,
    state_key,
    step,
    unpack,
)

GAP = 1_800_000
EARLY = 60_000
LIMITS = Limits(GAP, EARLY)


def event(item: str, at: int, *, kind: str = "view", id_: str | None = None, session: str | None = None) -> Event:
    return Event(event_id=id_ or f"{item}@{at}", item_id=item, timestamp=at, user_id="ann", session_id=session, event_type=kind)


def run(state: State, *events: Event) -> list[Step]:
    return [step(state, e, Source(3, offset, 1000 + offset), LIMITS) for offset, e in enumerate(events)]


def items(state: State) -> list[str]:
    return [interaction.item_id for interaction in state.sessions[0].prefix]


def test_every_interaction_makes_one_transition_from_the_interactions_before_it() -> None:
    state = State()
    first, second = run(state, event("a", 10), event("b", 20, kind="purchase"))
    assert first.transition is not None
    assert first.transition.prefix == []
    assert second.transition is not None
    assert [i.item_id for i in second.transition.prefix] == ["a"]
    assert (second.transition.item_id, second.transition.weight, second.transition.source_offset) == ("b", 5.0, 1)
    assert second.transition.source_partition == 3


def test_a_gap_of_event_time_starts_a_new_session() -> None:
    state = State()
    run(state, event("a", 0), event("b", GAP), event("c", 2 * GAP + 1))
    assert items(state) == ["c"]
    assert len(state.sessions) == 1


def test_an_event_that_names_its_session_belongs_to_it_however_early_it_is() -> None:
    state = State()
    first, early = run(state, event("a", 100 * GAP, session="s"), event("b", 5, session="s"))
    assert (first.outcome, early.outcome) == (Outcome.ACCEPTED, Outcome.LATE)
    assert items(state) == ["b", "a"]


def test_an_explicit_session_id_wins_over_the_gap() -> None:
    state = State()
    run(state, event("a", 0, session="s"), event("b", 10 * GAP, session="s"), event("c", 10 * GAP + 1, session="t"))
    assert [s.session_id for s in state.sessions] == ["t", "s"]
    assert [i.item_id for i in state.sessions[1].prefix] == ["a", "b"]


def test_interleaved_sessions_of_one_user_stay_apart_and_are_bounded() -> None:
    state = State()
    run(state, *(event(f"i{n}", n, session=f"s{n % 2}") for n in range(6)))
    assert [[i.item_id for i in s.prefix] for s in state.sessions] == [["i1", "i3", "i5"], ["i0", "i2", "i4"]]
    run(state, *(event("x", 100, session=f"t{n}") for n in range(9)))
    assert len(state.sessions) == OPEN_SESSIONS


def test_a_late_event_is_inserted_by_time_and_has_weight_0() -> None:
    state = State()
    *_, late = run(state, event("a", 10), event("c", 30), event("b", 20))
    assert late.outcome is Outcome.LATE
    assert items(state) == ["a", "b", "c"]
    assert late.transition is not None
    assert late.transition.weight == 0
    assert [i.item_id for i in late.transition.prefix] == ["a"]
    assert state.sessions[0].last_at == 30


def test_an_event_before_the_session_changes_nothing() -> None:
    state = State()
    run(state, event("a", EARLY + 10))
    before = pack(state, 0)
    ignored = step(state, event("b", 9), Source(3, 7, 5000), LIMITS)
    assert ignored.outcome is Outcome.BEFORE_SESSION
    assert ignored.transition is None
    assert pack(state, 0) == before


def test_an_event_a_little_before_the_first_one_belongs_to_the_session() -> None:
    state = State()
    _, early, last = run(state, event("a", EARLY + 40), event("b", 40), event("c", EARLY + 50))
    assert early.outcome is Outcome.LATE
    assert early.triggers
    assert early.transition is not None
    assert (early.transition.prefix, early.transition.prefix_length, early.transition.weight) == ([], 0, 0.0)
    assert items(state) == ["b", "a", "c"]
    assert last.transition is not None
    assert [i.item_id for i in last.transition.prefix] == ["b", "a"]


def test_a_first_event_with_a_fast_clock_loses_none_of_those_after_it() -> None:
    state = State()
    run(state, event("fast", EARLY), *(event(f"i{n}", 1000 * n) for n in range(5)))
    assert items(state) == ["i0", "i1", "i2", "i3", "i4", "fast"]


def test_the_lines_of_an_order_share_an_event_id() -> None:
    state = State()
    done = run(state, *(event(item, 10, kind="purchase", id_="order") for item in ("p", "q", "p")))
    assert [one.outcome for one in done] == [Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.DUPLICATE]
    assert items(state) == ["p", "q"]


def test_a_repeated_event_id_changes_nothing() -> None:
    state = State()
    run(state, event("a", 10, id_="one"))
    before = pack(state, 0)
    assert step(state, event("a", 20, id_="one"), Source(3, 7, 5000), LIMITS).outcome is Outcome.DUPLICATE
    assert pack(state, 0) == before


rows = st.tuples(
    st.sampled_from("abc"), st.integers(0, 9), st.sampled_from(["view", "dislike", "impression"]),
    st.sampled_from(["s", "t", None]), st.integers(0, 5),
)  # fmt: skip


@given(st.lists(rows, max_size=30))
def test_a_step_without_a_session_in_its_result_changes_nothing(events: list[tuple[str, int, str, str | None, int]]) -> None:
    """Such a state is not stored. If it had changed, the result would depend on where units end."""
    state = State()
    for offset, (item, at, kind, session, number) in enumerate(events):
        before = pack(state, 0)
        done = step(state, event(item, at, kind=kind, id_=str(number), session=session), Source(3, offset, 1000), LIMITS)
        assert done.session is not None or pack(state, 0) == before


def test_a_dislike_suppresses_until_the_user_acts_on_the_item_again() -> None:
    state = State()
    disliked = run(state, event("a", 10), event("a", 20, kind="dislike"))[-1]
    assert disliked.outcome is Outcome.SUPPRESSED
    assert disliked.triggers
    assert disliked.transition is None
    assert state.sessions[0].suppressed == ["a"]
    run(state, event("a", 30))
    assert state.sessions[0].suppressed == []


def test_the_setting_decides_which_items_are_excluded() -> None:
    state = State()
    run(state, event("a", 0), event("b", 1, kind="purchase"), event("c", 2, kind="dislike"), event("a", 3))
    (session,) = state.sessions
    excluded = {exclude: not_again(session, exclude) for exclude in ("nothing", "purchased", "seen")}
    assert excluded == {"nothing": {"c"}, "purchased": {"b", "c"}, "seen": {"a", "b", "c"}}


def test_an_impression_changes_no_state() -> None:
    state = State()
    (seen,) = run(state, event("a", 10, kind="impression"))
    assert (seen.outcome, seen.triggers, state) == (Outcome.IMPRESSION, False, State())


def test_expiry_goes_by_kafka_time() -> None:
    state = State()
    step(state, event("a", 99_999_999), Source(0, 0, 1000), LIMITS)
    assert not expired(state, 1500, 500)
    assert expired(state, 1501, 500)


def test_users_and_anonymous_sessions_never_share_a_key() -> None:
    anonymous = Event(event_id="1", item_id="a", timestamp=0, session_id="ann")
    assert state_key(anonymous) != state_key(event("a", 0))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50), st.sampled_from(["view", "like", "dislike"]))))
def test_any_order_of_events_keeps_the_prefix_sorted_bounded_and_counted(rows: list[tuple[str, int, str]]) -> None:
    state = State()
    steps = run(state, *(event(i, at, kind=kind, id_=str(n)) for n, (i, at, kind) in enumerate(rows)))
    for session in state.sessions:
        times = [interaction.timestamp for interaction in session.prefix]
        assert times == sorted(times)
        assert len(times) == min(session.length, PREFIX_LENGTH)
    made = [s for s in steps if s.outcome in (Outcome.ACCEPTED, Outcome.LATE)]
    assert len(made) == sum(session.length for session in state.sessions)
    assert all(s.transition is not None for s in made)
    assert all(s.transition.prefix_length >= len(s.transition.prefix) for s in made if s.transition is not None)


@given(st.integers(0, 2**62), st.lists(st.text(min_size=1, max_size=5), max_size=30))
def test_the_stored_form_reads_back_equal(offset: int, names: list[str]) -> None:
    state = State()
    run(state, *(event(name, n) for n, name in enumerate(names)))
    stored = pack(state, offset)
    assert int.from_bytes(stored[:8], "big") == offset
    assert unpack(stored) == state
