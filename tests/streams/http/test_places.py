"""Which connection gets a place, and which one has to leave for it."""

from __future__ import annotations

from streams.http.places import Places


class Client:
    """A connection that remembers why it had to leave."""

    evicted = ""

    def evict(self, reason: str) -> None:
        self.evicted = reason


def test_the_first_connections_may_make_any_request() -> None:
    places, busy = Places(2, reserved=1), [Client() for _ in range(3)]
    for client, general in zip(busy, [True, True, False], strict=True):
        assert places.enter(client) is general
        places.busy(client)
    assert len(places) == 3


def test_the_connection_that_has_been_idle_longest_makes_room() -> None:
    places, busy, lately, long = Places(3), Client(), Client(), Client()
    for client in (busy, lately, long):
        places.enter(client)
        places.busy(client)
    places.idle(long)
    places.idle(lately)
    assert places.enter(Client())
    assert (busy.evicted, lately.evicted, long.evicted) == ("", "", "idle")
    assert len(places) == 3


def test_the_oldest_connection_on_a_reserved_place_makes_room() -> None:
    places, clients = Places(1, reserved=2), [Client() for _ in range(5)]
    for client, general in zip(clients, [True, False, False, False, False], strict=True):
        assert places.enter(client) is general
        places.busy(client)
    assert [client.evicted for client in clients] == ["", "full", "full", "", ""]
    assert len(places) == 3


def test_a_complete_request_on_a_reserved_place_outlasts_those_that_only_connect() -> None:
    places, clients = Places(1, reserved=2), [Client() for _ in range(4)]
    places.enter(clients[0])
    places.busy(clients[0])
    places.enter(clients[1])
    places.enter(clients[2])
    places.renew(clients[1])
    places.enter(clients[3])
    assert [client.evicted for client in clients] == ["", "", "full", ""]


def test_a_place_is_free_once_its_connection_has_left() -> None:
    places, first = Places(1, reserved=1), Client()
    places.enter(first)
    places.busy(first)
    places.leave(first)
    places.idle(first)
    places.leave(first)
    assert places.enter(Client())
    assert len(places) == 1
