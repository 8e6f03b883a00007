"""What a browser opens: the page, the reference, and the API's description."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.documents import JSON
from serving.http.operations import ROUTE, Call, Operation

PAGE = Path(__file__).parents[2] / "page"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}
"""Of everything that a browser may show: only this origin's own modules, styles and connections."""
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


async def get_page(call: Call) -> Response:
    index = PAGE / "index.html"
    if not index.is_file():
        return RedirectResponse("/reference", 307, HEADERS)
    return FileResponse(index, headers=HEADERS)


async def get_reference(call: Call) -> Response:
    return Response(_pages(call.service.keys.required)[1], headers=HEADERS, media_type="text/html")


async def get_openapi(call: Call) -> Response:
    return Response(_pages(call.service.keys.required)[0], headers=HEADERS, media_type=JSON)


@cache
def _pages(keys_required: bool) -> tuple[bytes, str]:
    """The document, and its page."""
    from serving.app import OPERATIONS  # noqa: PLC0415  it is made of these too
    from serving.http.openapi import document  # noqa: PLC0415
    from serving.http.reference import reference  # noqa: PLC0415

    told = document(OPERATIONS, keys_required=keys_required)
    return msgspec.json.encode(told), reference(told)


class PageFiles:
    """The page's files, with its headers."""

    def __init__(self, folder: Path = PAGE) -> None:
        self._files: ASGIApp = StaticFiles(directory=folder, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = "/page"

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            await send(message)

        await self._files(scope, receive, secured)


OPERATIONS = [
    Operation("GET", "/", get_page, "The page", "Pages", scope=None, needs_topics=False, answers={200: str}, media="text/html"),
    Operation(
        "GET", "/reference", get_reference, "This API, to read", "Pages", scope=None, needs_topics=False, answers={200: str},
        media="text/html",
    ),
    Operation(
        "GET", "/openapi.json", get_openapi, "This API, as OpenAPI 3.1", "Pages", scope=None, needs_topics=False,
        answers={200: dict},
    ),
]  # fmt: skip
