"""The edge of the app: how errors of the state, and bugs, are answered and counted."""

from __future__ import annotations

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from serving.http.edge import PROBLEM_OF, Edge
from serving.state.telemetry import ServingTelemetry
from serving.state.writer import NotConfirmed, TooManyPending
from streams.errors import OuzelError


async def answer(error: Exception) -> tuple[int, dict[str, str], dict[str, object]]:
    """Call an app that raises ``error``; returns the status, the headers and the body."""

    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "POST", "raw_path": b"/v1/events", "query_string": b"", "headers": []}
    telemetry = ServingTelemetry()
    await Edge(failing, telemetry, check_host=False)(scope, receive, send)
    start, body = sent
    counted = {"route": "none", "method": "POST", "status": str(start["status"])}
    assert telemetry.registry.get_sample_value("ouzel_serve_requests_total", counted) == 1
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, msgspec.json.decode(body["body"])


@pytest.mark.parametrize(
    ("error", "status", "kind", "retry_after"),
    [
        (NotConfirmed("not confirmed"), 503, "kafka-away", "2"),
        (TooManyPending("too many"), 429, "too-many", "1"),
    ],
)
async def test_an_error_of_the_state_is_answered_as_a_problem_with_its_message(
    error: OuzelError, status: int, kind: str, retry_after: str
) -> None:
    answered, headers, body = await answer(error)
    assert (answered, headers["retry-after"]) == (status, retry_after)
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert (body["type"], body["status"], body["detail"]) == (f"/reference#{kind}", status, str(error))
    assert type(error) in PROBLEM_OF


async def test_a_bug_is_answered_with_500_and_no_detail_of_it() -> None:
    status, headers, body = await answer(RuntimeError("secret"))
    assert (status, body["type"]) == (500, "/reference#internal")
    assert "secret" not in str(body)
    assert "retry-after" not in headers
