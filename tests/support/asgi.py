"""Calls an ASGI app in this process, without a server."""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import ASGIApp, Message


class Answer(NamedTuple):
    """A whole response, with the names of its headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def call(app: ASGIApp, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    """Send one request. ``path`` is sent as it is; an underscore in a header's name is a hyphen."""
    raw, _, query = path.partition("?")
    named = {"host": "localhost"} | {name.replace("_", "-"): value for name, value in headers.items()}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": raw, "raw_path": raw.encode(), "query_string": query.encode(),
        "root_path": "", "http_version": "1.1", "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    start, *parts = sent
    answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(part.get("body", b"") for part in parts))
