"""Errors as problem details (RFC 9457): a type, a title, and the invalid field if it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from serving.state.record_errors import RecordError
from streams.http.refusals import CONNECTION_KINDS, PROBLEM_JSON, Kind

TYPES_AT = "/reference"
_UNREADABLE = ("empty", "invalid_json", "not_utf8", "too_deep")
"""Reasons of a rejection that mean that the record is not JSON."""


class ProblemDetails(msgspec.Struct, omit_defaults=True):
    """An error (RFC 9457)."""

    type: Annotated[str, Meta(description="The kind of problem: an anchor of the reference page.")]
    title: Annotated[str, Meta(description="The kind of problem, for people.")]
    status: Annotated[int, Meta(description="The status of the answer.")]
    detail: Annotated[str | None, Meta(description="What is wrong with this request, and what to do about it.")] = None
    field: Annotated[str | None, Meta(description="The invalid parameter or field.")] = None
    errors: Annotated[list[RecordError], Meta(description="Why each record of the request was rejected.")] = []


_KINDS = {
    **CONNECTION_KINDS,
    "unauthorized": Kind(401, "An API key is required"),
    "forbidden": Kind(403, "The API key lacks the scope"),
    "foreign-host": Kind(403, "Without API keys, the Host header must name this machine's loopback"),
    "not-found": Kind(404, "Not found"),
    "method-not-allowed": Kind(405, "The method is not allowed here"),
    "not-acceptable": Kind(406, "The Accept header excludes the media type of the answer"),
    "too-large": Kind(413, "The body is too large"),
    "uri-too-long": Kind(414, "The path or the query is too long"),
    "unsupported-media-type": Kind(415, "The media type or the encoding of the body is not supported"),
    "invalid-parameter": Kind(422, "A parameter is invalid"),
    "invalid-record": Kind(422, "Every record of the body was rejected"),
    "too-many": Kind(429, "Too many streams of one user, or too many records waiting for Kafka"),
    "internal": Kind(500, "Internal error"),
    "not-ready": Kind(503, "The server has not caught up with Kafka yet"),
    "keys-unavailable": Kind(503, "The server cannot use its file of API keys, so no key is valid"),
    "kafka-away": Kind(503, "Kafka did not confirm the write"),
}
KINDS = dict(sorted(_KINDS.items(), key=lambda named: named[1].status))
"""Every kind of problem, by the anchor in its type."""


class Problem(Exception):
    """An error that answers a request with problem details.

    Code that handles a request may raise it anywhere; ``kind`` is a key of `KINDS`.
    """

    def __init__(
        self, kind: str, detail: str | None = None, *, field: str | None = None, errors: Sequence[RecordError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(detail or KINDS[kind].title)
        self.status, self.headers = KINDS[kind].status, dict(headers or {})
        self.details = ProblemDetails(
            type=f"{TYPES_AT}#{kind}",
            title=KINDS[kind].title,
            status=self.status,
            detail=detail,
            field=field,
            errors=list(errors),
        )

    def body(self) -> bytes:
        """Encode the problem details."""
        return msgspec.json.encode(self.details)

    def response(self) -> Response:
        """Return the whole response."""
        return Response(self.body(), self.status, {"cache-control": "no-store"} | self.headers, PROBLEM_JSON)


def all_rejected(errors: Sequence[RecordError], *, one: bool) -> Problem:
    """Return the problem of a body without a single good record.

    ``one`` is true if the body is a single record, not a list. If that record is not JSON, the
    whole body is malformed.
    """
    if one and errors[0].reason in _UNREADABLE:
        return Problem("malformed", errors[0].detail or errors[0].reason, errors=errors)
    return Problem("invalid-record", field=errors[0].field if one else None, errors=errors)
