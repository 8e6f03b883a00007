"""Which connection gets a place, and which one has to leave for it."""

from __future__ import annotations

from streams.http.places import Places


class Client:
    """A connection that is idle until a time, or busy."""

    def __init__(self, idle_until: float | None = None) -> None:
        self._idle_until, self.evicted = idle_until, ""

    def idle_until(self) -> float | None:
        return self._idle_until

    def evict(self, reason: str) -> None:
        self.evicted = reason


def test_the_first_connections_may_make_any_request() -> None:
    places = Places(2, reserved=1)
    assert [places.enter(Client()) for _ in range(3)] == [True, True, False]
    assert len(places) == 3


def test_the_connection_that_has_been_idle_longest_makes_room() -> None:
    places, busy, lately, long = Places(3), Client(), Client(30.0), Client(20.0)
    for client in (busy, lately, long):
        places.enter(client)
    assert places.enter(Client())
    assert (busy.evicted, lately.evicted, long.evicted) == ("", "", "idle")
    assert len(places) == 3


def test_the_oldest_connection_on_a_reserved_place_makes_room() -> None:
    places, clients = Places(1, reserved=2), [Client() for _ in range(5)]
    assert [places.enter(client) for client in clients] == [True, False, False, False, False]
    assert [client.evicted for client in clients] == ["", "full", "full", "", ""]
    assert len(places) == 3


def test_a_place_is_free_once_its_connection_has_left() -> None:
    places, first = Places(1, reserved=1), Client()
    places.enter(first)
    places.leave(first)
    places.leave(first)
    assert places.enter(Client())
    assert len(places) == 1
