"""Whatever can be written over HTTP can be read and deleted, however its id is encoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.types import Receive, Scope, Send
from support.asgi import call
from support.processes.running import fresh_settings

from serving.app import OPERATIONS, create_app
from serving.http.edge import MAX_PATH_BYTES, MAX_QUERY_BYTES, Edge
from serving.http.openapi import document
from serving.state.keys import Keys
from serving.state.service import Service
from serving.state.telemetry import ServingTelemetry
from serving.state.writer import NewRecord, Written
from streams.events.decode import EventDecoder

BIRDS = "\N{BIRD}" * 64
LONGEST = [BIRDS, "/" * 256, "x" * 256, "語" * 85, '"\\' * 128]


def encoded(text: str) -> str:
    """Percent-encode every byte."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service that is ready, and whose writes go nowhere."""
    service = Service(fresh_settings("127.0.0.1:1", tmp_path), Keys(None), EventDecoder(), ServingTelemetry(), lambda _: None)
    service.ready = True

    async def write(records: Sequence[NewRecord]) -> list[Written]:
        for record in records:
            if record.topic.endswith(".items"):
                service.shelves.apply(record.key, record.value)
        return [Written(record.partition or 0, 0, 0) for record in records]

    async def wait_for_item(*_: Any) -> None: ...

    monkeypatch.setattr(service.writer, "write", write)
    monkeypatch.setattr(service, "wait_for_item", wait_for_item)
    return service


@pytest.mark.parametrize("text", LONGEST)
async def test_a_user_and_an_item_of_the_longest_id_are_written_read_and_deleted(service: Service, text: str) -> None:
    app = create_app(service)
    event = json.dumps({"user_id": text, "item_id": text, "session_id": text, "event_id": text}).encode()
    written = await call(app, "POST", "/v1/events", event, content_type="application/json")
    assert written.status == 202, written
    assert (await call(app, "GET", f"/v1/users/{encoded(text)}")).status == 404
    assert (await call(app, "DELETE", f"/v1/users/{encoded(text)}")).status == 202
    item = f"/v1/items/{encoded(text)}"
    sent = json.dumps({"categories": [text]}).encode()
    assert (await call(app, "PUT", item, sent, content_type="application/json")).status == 200
    assert json.loads((await call(app, "GET", item)).body)["item_id"] == text
    of_category = json.loads((await call(app, "GET", f"/v1/items?category={encoded(text)}")).body)
    assert (of_category["total"], of_category["categories"]) == (1, [{"name": text, "items": 1}])
    assert (await call(app, "DELETE", item)).status == 204
    assert (await call(app, "GET", item)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/events", {"user_id": BIRDS + "x", "item_id": "a"}),
        ("POST", "/v1/events", {"user_id": "u", "item_id": BIRDS + "x"}),
        ("POST", "/v1/events", {"session_id": BIRDS + "x", "item_id": "a"}),
        ("POST", "/v1/items", {"item_id": BIRDS + "x"}),
        ("PUT", "/v1/items/a", {"categories": [BIRDS + "x"]}),
        ("PUT", f"/v1/items/{encoded(BIRDS)}x", {}),
        ("DELETE", f"/v1/users/{encoded(BIRDS)}x", None),
        ("GET", f"/v1/users/{encoded(BIRDS)}x", None),
        ("GET", f"/v1/items?id={encoded(BIRDS)}x", None),
        ("GET", f"/v1/recommendations/u?exclude=a&exclude={encoded(BIRDS)}x", None),
        ("GET", f"/v1/recommendations/u?session_id={encoded(BIRDS)}x", None),
        ("GET", f"/v1/popular?category={encoded(BIRDS)}x", None),
    ],
)
async def test_an_id_of_257_bytes_is_rejected_with_its_length_and_the_bound(
    service: Service, method: str, path: str, body: Any
) -> None:
    answer = await call(create_app(service), method, path, json.dumps(body).encode(), content_type="application/json")
    assert answer.status == 422, answer
    assert b"has 257 bytes of UTF-8, at most 256" in answer.body


@pytest.mark.parametrize("field", ["event_id", "session_id", "recommendation_id"])
async def test_an_optional_id_of_too_many_bytes_is_rejected_with_the_bound(service: Service, field: str) -> None:
    event = json.dumps({"user_id": "u", "item_id": "a", field: BIRDS + "x"}).encode()
    answer = await call(create_app(service), "POST", "/v1/events", event, content_type="application/json")
    assert answer.status == 422
    assert b"%s cannot be read (it may have 1 to 256 bytes of UTF-8)" % field.encode() in answer.body


async def test_a_path_may_have_two_of_the_longest_ids() -> None:
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    path = f"/v1/users/{encoded(BIRDS)}/items/{encoded(BIRDS)}/interactions"
    assert len(path) <= MAX_PATH_BYTES
    assert (await call(Edge(app, ServingTelemetry(), check_host=True), "GET", path)).status == 204
    assert passed == [path]
    assert len(f"exclude={encoded(BIRDS)}&") * 10 <= MAX_QUERY_BYTES


def test_the_document_says_that_ids_are_bounded_in_bytes() -> None:
    spec = document(OPERATIONS, keys_required=True)
    bounded = 0
    for path in spec["paths"].values():
        for operation in path.values():
            for parameter in operation["parameters"]:
                for schema in (parameter["schema"], parameter["schema"].get("items", {})):
                    if "maxLength" in schema:
                        bounded += 1
                        assert schema["description"] == "At most 256 bytes of UTF-8.", parameter
    assert bounded > 10
    assert "An id is a text of 1 to 256 bytes of UTF-8" in spec["info"]["description"]
    assert quote(BIRDS) == encoded(BIRDS), "an ordinary client encodes as much"
