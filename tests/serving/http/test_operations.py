"""The Accept header and the query parameters of a request."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.app import OPERATIONS
from serving.http.documents import EVENT_STREAM, JSON, acceptable
from serving.http.parameters import NoQuery, read_query
from serving.http.problems import Problem
from serving.http.routes.discovery import PopularQuery
from serving.http.routes.items import ItemsQuery
from serving.http.routes.recommendations import RankingQuery


@pytest.mark.parametrize(
    ("accept", "media", "expected"),
    [
        (b"*/*", JSON, True),
        (b"application/json", JSON, True),
        (b"application/*;q=0.5", JSON, True),
        (b"text/html, */*;q=0.1", JSON, True),
        (b"text/html", JSON, False),
        (b"application/json;q=0", JSON, False),
        (b"*/*, application/json;q=0", JSON, False),
        (b"*/*;q=0, application/json", JSON, True),
        (b"APPLICATION/JSON; charset=utf-8", JSON, True),
        (b"application/json;q=x", JSON, False),
        (b"text/event-stream", EVENT_STREAM, True),
        (b"application/json", EVENT_STREAM, False),
        (b",,;", JSON, False),
    ],
)
def test_accept(accept: bytes, media: str, expected: bool) -> None:
    assert acceptable(accept, media) is expected


@given(st.binary(max_size=60))
def test_no_accept_header_raises(accept: bytes) -> None:
    assert acceptable(accept, JSON) in (True, False)


def test_a_query_is_read_by_its_types() -> None:
    query = read_query(b"k=7&exclude=a&exclude=b%2Cc&category=null&exclude_seen=true", RankingQuery)
    assert (query.k, query.exclude, query.category, query.exclude_seen) == (7, ["a", "b,c"], "null", True)
    assert read_query(b"", RankingQuery) == RankingQuery()
    assert read_query(b"exclude=one", RankingQuery).exclude == ["one"]
    assert read_query(b"id=one", ItemsQuery).id == ["one"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (b"k=0", "k"),
        (b"k=-1", "k"),
        (b"k=201", "k"),
        (b"k=1000000000", "k"),
        (b"k=x", "k"),
        (b"k=", "k"),
        (b"k=1.5", "k"),
        (b"k=1&k=2", "k"),
        (b"category=", "category"),
        (b"category=a%00b", "category"),
        (b"exclude_seen=perhaps", "exclude_seen"),
        (b"exclude=" + b"x" * 257, "exclude"),
        (b"none=1", "none"),
    ],
)
def test_a_bad_parameter_is_named(query: bytes, field: str) -> None:
    with pytest.raises(Problem) as caught:
        read_query(query, RankingQuery)
    assert caught.value.status == 422
    assert caught.value.details.field == field


@pytest.mark.parametrize(
    ("query", "kind", "detail"),
    [
        (b"k=201", RankingQuery, "it must be an integer from 1 to 200, not '201'"),
        (b"exclude_seen=perhaps", RankingQuery, "it must be true or false, not 'perhaps'"),
        (b"category=", RankingQuery, "it must be a text of 1 to 256 bytes of UTF-8 without control characters, not ''"),
        (b"half_life=7", PopularQuery, "it must be one of 500, 2000, 20000, not '7'"),
        (b"k=1&k=2", PopularQuery, "the parameter is repeated: send it once"),
        (b"top=5", PopularQuery, "there is no such parameter; the parameters are k, category, half_life"),
        (b"top=5", NoQuery, "the operation takes no query parameters"),
    ],
)
def test_an_error_says_which_values_are_allowed(query: bytes, kind: type[msgspec.Struct], detail: str) -> None:
    with pytest.raises(Problem) as caught:
        read_query(query, kind)
    assert caught.value.details.detail == detail


@pytest.mark.parametrize("query", [b"category=%ff", b"category=\xff", b"&".join([b"exclude=a"] * 301)])
def test_a_malformed_query(query: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read_query(query, RankingQuery)
    assert caught.value.status == 400


@given(st.binary(max_size=80))
def test_a_query_raises_nothing_but_problems(query: bytes) -> None:
    with suppress(Problem):
        assert 1 <= read_query(query, RankingQuery).k <= 200


def test_every_operation_is_unique_and_described() -> None:
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)
    for operation in OPERATIONS:
        assert operation.summary
        assert operation.answers
        if operation.path.startswith("/v1/"):
            needed = "read" if operation.method == "GET" else "events" if operation.path == "/v1/events" else "admin"
            assert operation.scope == needed, operation
