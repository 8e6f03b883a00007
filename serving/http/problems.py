"""Errors as RFC 9457 problem details: every refusal of the API has a type, a title and, where there is one, the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from starlette.responses import Response

PROBLEM_JSON = "application/problem+json"
TYPES_AT = "/reference#"


class RecordError(msgspec.Struct, omit_defaults=True):
    """Why one record of a request was refused. ``position`` counts from 0; ``reason`` is the worker's, see its dead letters."""

    position: int
    reason: str
    field: str | None = None
    detail: str | None = None


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """RFC 9457. ``type`` is an anchor of the reference page."""

    type: str
    title: str
    status: int
    detail: str | None = None
    field: str | None = None
    errors: list[RecordError] = []


class Kind(NamedTuple):
    """A kind of problem: its status, and what is true of each."""

    status: int
    title: str


KINDS = {
    "malformed": Kind(400, "The request cannot be read"),
    "unauthorized": Kind(401, "A key is needed"),
    "forbidden": Kind(403, "The key does not allow this"),
    "foreign-host": Kind(403, "Without keys, only requests to a loopback name are answered"),
    "not-found": Kind(404, "There is nothing here"),
    "method-not-allowed": Kind(405, "The resource has no such method"),
    "not-acceptable": Kind(406, "No acceptable form of the answer"),
    "too-slow": Kind(408, "The request did not arrive in time"),
    "too-large": Kind(413, "The body is too large"),
    "uri-too-long": Kind(414, "The path or query is too long"),
    "unsupported-media-type": Kind(415, "The body is of a type that is not read"),
    "invalid-parameter": Kind(422, "A parameter is out of bounds"),
    "invalid-record": Kind(422, "No record of the body could be accepted"),
    "too-many": Kind(429, "Too many at a time"),
    "head-too-large": Kind(431, "The request's head is too large"),
    "internal": Kind(500, "A mistake of ours"),
    "not-ready": Kind(503, "This copy has not caught up yet"),
    "kafka-away": Kind(503, "Kafka does not confirm"),
    "busy": Kind(503, "This copy has all it can do"),
}
"""Every kind there is, by the anchor in its type."""


class Problem(Exception):
    """A refusal. Raise it anywhere in a request; ``kind`` is one of `KINDS`."""

    def __init__(
        self, kind: str, detail: str | None = None, *, field: str | None = None, errors: Sequence[RecordError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail or KINDS[kind].title)
        self.status, self.headers = KINDS[kind].status, dict(headers or {})
        self.details = ProblemDetails(
            type=TYPES_AT + kind, title=KINDS[kind].title, status=self.status, detail=detail, field=field, errors=list(errors)
        )

    def body(self) -> bytes:
        """The document."""
        return msgspec.json.encode(self.details)

    def response(self) -> Response:
        """The whole answer."""
        return Response(self.body(), self.status, {"cache-control": "no-store"} | self.headers, PROBLEM_JSON)
