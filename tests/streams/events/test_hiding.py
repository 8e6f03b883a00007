"""Which items are hidden, as records and time change them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.events.hiding import SPARE, Hiding, is_hidden_at
from streams.events.records import Item


def test_an_item_is_hidden_before_it_is_available_and_from_its_expiry_on() -> None:
    hiding = Hiding()
    hiding.set("a", Item(item_id="a", available_from=100, expires_at=200))
    assert [hiding.at(now) for now in (99, 100, 199, 200, 1000)] == [{"a"}, set(), set(), {"a"}, {"a"}]
    hiding.set("a", Item(item_id="a", expires_at=2000))
    assert [hiding.at(now) for now in (1000, 2000)] == [set(), {"a"}]
    hiding.set("a", None)
    assert hiding.at(3000) == set()


def test_an_item_is_hidden_while_nothing_of_it_is_left() -> None:
    hiding = Hiding()
    for stock, hidden in ((0.0, {"a"}), (0.5, set()), (-1.0, {"a"}), (None, set())):
        hiding.set("a", Item(item_id="a", stock=stock))
        assert hiding.at(0) == hidden
    hiding.set("a", Item(item_id="a", available=False, stock=7.0))
    assert hiding.at(0) == {"a"}


def test_the_set_is_the_same_object_until_an_item_changes() -> None:
    hiding = Hiding()
    hiding.set("a", Item(item_id="a", is_hidden=True, expires_at=100))
    hiding.set("b", Item(item_id="b", expires_at=200))
    before = hiding.at(50)
    assert hiding.at(150) is before, "the expiry of a hidden item changes nothing"
    assert hiding.at(200) == {"a", "b"}
    assert before == {"a"}


def test_time_never_goes_back() -> None:
    hiding = Hiding()
    hiding.set("a", Item(item_id="a", expires_at=100))
    assert hiding.at(100) == {"a"}
    assert hiding.at(50) == {"a"}


def test_a_clock_that_was_far_ahead_for_a_moment_hides_nothing_for_good() -> None:
    hiding, noon, year = Hiding(), 1_790_000_000_000, 31_536_000_000
    hiding.set("sale", Item(item_id="sale", expires_at=noon + 100))
    hiding.set("soon", Item(item_id="soon", available_from=noon + 100))
    hiding.set("never", Item(item_id="never", is_hidden=True))
    assert hiding.at(noon) == {"soon", "never"}
    assert hiding.at(noon + year) == {"sale", "never"}
    hiding.set("new", Item(item_id="new", expires_at=noon + 200))
    assert hiding.at(noon + 1) == {"soon", "never"}
    assert hiding.at(noon + 100) == {"sale", "never"}
    assert hiding.at(noon + 200) == {"sale", "never", "new"}


def test_an_item_that_is_sent_again_and_again_takes_no_more_memory() -> None:
    hiding = Hiding()
    for number in range(10_000):
        hiding.set("a", Item(item_id="a", available_from=number, expires_at=1_000_000 + number))
    assert len(hiding) <= 4 + SPARE
    assert hiding.at(1_009_998) == set()
    assert hiding.at(1_009_999) == {"a"}
    assert len(hiding) == 0


items = st.builds(
    Item,
    item_id=st.sampled_from("abc"),
    is_hidden=st.sampled_from([False, False, True]),
    available=st.sampled_from([True, True, False]),
    stock=st.none() | st.integers(0, 1),
    available_from=st.none() | st.integers(0, 30),
    expires_at=st.none() | st.integers(0, 30),
)
steps = st.lists(st.tuples(st.integers(0, 4), items | st.sampled_from("abc")), max_size=20)


@given(steps)
def test_the_hidden_items_are_those_of_a_scan_at_every_time(steps: list[tuple[int, Item | str]]) -> None:
    hiding, known, now = Hiding(), dict[str, Item](), 0
    for later, change in steps:
        if isinstance(change, str):
            known.pop(change, None)
            hiding.set(change, None)
        else:
            known[change.item_id] = change
            hiding.set(change.item_id, change)
        now += later
        assert hiding.at(now) == {item_id for item_id, item in known.items() if is_hidden_at(item, now)}
