"""Reads request bodies, within a bound of size, and splits them into records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec
from starlette.requests import ClientDisconnect, Request

from serving.http.documents import JSON, NDJSON
from serving.http.problems import Problem
from serving.state.turns import Turns

MOST_RECORDS = 500
MEDIA = (JSON, NDJSON)
"""The media types of a body of records."""
_CLOSE = {"connection": "close"}
"""Closes the connection after the answer, because the body was not read to its end."""
_BLANKS = re.compile(rb"\s*")
LARGE = 65_536
"""Bodies of more bytes take turns."""
_ELEMENTS = msgspec.defstruct(
    "_ELEMENTS", [(f"at_{position}", msgspec.Raw, None) for position in range(MOST_RECORDS + 1)], array_like=True
)
"""The first elements of an array. msgspec skips the rest, ten times as fast as it fills a list.

A megabyte of `[1,1,...]` would stall the event loop otherwise.
"""
_first_elements = msgspec.json.Decoder(_ELEMENTS).decode


class Body(NamedTuple):
    """The records of a body. ``one`` is true if the body is a single record, not a list."""

    records: list[bytes]
    one: bool


async def read_body(request: Request, most: int) -> bytes:
    """Read a body of at most ``most`` bytes. The connection bounds the time that it may take.

    Raises `Problem` if it is larger, compressed, or incomplete.
    """
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        detail = f"content-encoding {encoding[:100]} is not supported: send the body uncompressed"
        raise Problem("unsupported-media-type", detail, headers=_CLOSE)
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise Problem("too-large", _too_large(most), headers=_CLOSE)
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > most:
                raise Problem("too-large", _too_large(most), headers=_CLOSE)
    except ClientDisconnect:
        raise Problem("malformed", "the connection ended within the body", headers=_CLOSE) from None
    return bytes(body)


async def read_records(request: Request, most: int, turns: Turns) -> Body:
    """Read a body of at most ``most`` bytes, and split it into records. Raises `Problem`.

    Bodies above `LARGE` take turns: to split many at once would stall all other requests.
    """
    media = media_type(request, MEDIA)
    body = await read_body(request, most)
    if len(body) > LARGE:
        await turns.pause()
    return split(body, media)


def media_type(request: Request, allowed: Sequence[str]) -> str:
    """Return the media type of the body. Raises `Problem` if it is not one of those allowed."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in allowed:
        sent = f"content-type {media[:100]} is not supported" if media else "there is no content-type"
        raise Problem("unsupported-media-type", f"{sent}: send {' or '.join(allowed)}")
    return media


def split(body: bytes, media: str) -> Body:
    """Split a body into the bytes of its records, which are not decoded.

    JSON is one record or an array of records; NDJSON has one record per line. Raises `Problem`.
    """
    one = media != NDJSON and body.lstrip()[:1] != b"["
    if one:
        records = [body]
    elif media == NDJSON:
        records = list(islice(_lines(body), MOST_RECORDS + 1))
    else:
        records = _elements(body)
    if not records:
        raise Problem("malformed", f"the body has no record: send 1 to {MOST_RECORDS}")
    if len(records) > MOST_RECORDS:
        raise Problem("too-large", f"the body has more than {MOST_RECORDS} records: send them in several requests")
    return Body(records, one)


def _lines(body: bytes) -> Iterator[bytes]:
    """Yield the lines that are not blank, without the blanks that they begin with."""
    at = 0
    while (blanks := _BLANKS.match(body, at)) is not None and (at := blanks.end()) < len(body):
        end = body.find(b"\n", at)
        end = end if end >= 0 else len(body)
        yield body[at:end]
        at = end


def _elements(body: bytes) -> list[bytes]:
    """Return the first elements of a JSON array, at most one more than a body may have."""
    try:
        elements = msgspec.structs.astuple(_first_elements(body))
    except RecursionError:
        raise Problem("malformed", "the array nests too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem("malformed", str(error)) from None
    return [bytes(raw) for raw in elements if raw is not None]


def _too_large(most: int) -> str:
    return f"the body may have at most {most} bytes: send its records in several requests"
