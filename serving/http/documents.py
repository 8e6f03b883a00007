"""Media types, the Accept header, and JSON answers that no cache may store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from starlette.responses import Response

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"
NO_STORE = {"cache-control": "no-store"}
_JSON_HEADERS = [(b"content-type", JSON.encode()), (b"cache-control", b"no-store")]


class Document(Response):
    """A JSON answer. It shows the state of this moment, so no cache may store it."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status_code, self.body, self.background = status, body, None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *_JSON_HEADERS]


@lru_cache(maxsize=256)
def acceptable(accept: bytes, media: str) -> bool:
    """Tell whether an Accept header allows this media type.

    The most specific range that matches decides (RFC 9110, 12.5.1).
    """
    kind, best = media.encode().partition(b"/")[0], (-1, 0.0)
    for part in accept.lower().split(b","):
        range_, *parameters = (text.strip() for text in part.split(b";"))
        rank = {media.encode(): 2, kind + b"/*": 1, b"*/*": 0}.get(range_, -1)
        best = max(best, (rank, _quality(parameters))) if rank >= 0 else best
    return best[1] > 0


def _quality(parameters: Sequence[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
