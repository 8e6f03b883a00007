"""The page, the reference page of the API, and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.documents import JSON
from serving.http.openapi import document
from serving.http.operations import ROUTE, Call, Operation
from serving.http.reference import reference

PAGE = Path(__file__).parents[2] / "page"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}
"""Headers of every page. A page may use only scripts, styles and connections of this origin."""
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Pages:
    """The operations for browsers.

    The reference and the OpenAPI document describe ``api`` and these operations.
    """

    def __init__(self, api: Sequence[Operation]) -> None:
        self.operations: Sequence[Operation] = [
            Operation(
                "GET", "/", get_page, "The page", "Pages",
                "It redirects to the reference if the page is not installed.",
                scope=None, needs_topics=False, answers={200: str}, media="text/html",
            ),
            Operation(
                "GET", "/reference", self.get_reference, "The reference of this API, for people", "Pages",
                scope=None, needs_topics=False, answers={200: str}, media="text/html",
            ),
            Operation(
                "GET", "/openapi.json", self.get_openapi, "The OpenAPI 3.1 document of this API", "Pages",
                scope=None, needs_topics=False, answers={200: dict},
            ),
        ]  # fmt: skip
        self._described = [*api, *self.operations]
        self._made: dict[bool, tuple[bytes, str]] = {}

    async def get_reference(self, call: Call) -> Response:
        return Response(self._describe(call)[1], headers=HEADERS, media_type="text/html")

    async def get_openapi(self, call: Call) -> Response:
        return Response(self._describe(call)[0], headers=HEADERS, media_type=JSON)

    def _describe(self, call: Call) -> tuple[bytes, str]:
        """Return the OpenAPI document and the reference page; both are made once."""
        keys_required = call.service.keys.required
        if keys_required not in self._made:
            described = document(self._described, keys_required=keys_required)
            self._made[keys_required] = msgspec.json.encode(described), reference(described)
        return self._made[keys_required]


async def get_page(call: Call) -> Response:
    index = PAGE / "index.html"
    if not index.is_file():
        return RedirectResponse("/reference", 307, HEADERS)
    return FileResponse(index, headers=HEADERS)


class PageFiles:
    """An ASGI app for the files of the page, with the headers of the page."""

    def __init__(self, folder: Path = PAGE) -> None:
        self._files: ASGIApp = StaticFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = "/page"

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            await send(message)

        await self._files(scope, receive, secured)
