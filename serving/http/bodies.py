"""Reads request bodies, within bounds of size and time, and splits them into records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import ClientDisconnect, Request

from serving.http.documents import JSON, NDJSON
from serving.http.problems import Problem

MOST_RECORDS = 500
MEDIA = (JSON, NDJSON)
"""The media types of a body of records."""
_CLOSE = {"connection": "close"}
"""Closes the connection after the answer, because the body was not read to its end."""
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Body(NamedTuple):
    """The records of a body. ``one`` is true if the body is a single record, not a list."""

    records: list[bytes]
    one: bool


async def read_body(request: Request, most: int, within_s: float) -> bytes:
    """Read a body of at most ``most`` bytes.

    Raises `Problem` if it is larger, compressed, incomplete, or not there after ``within_s``.
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
        async with asyncio.timeout(within_s):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise Problem("too-large", _too_large(most), headers=_CLOSE)
    except TimeoutError:
        raise Problem("too-slow", f"the body did not arrive within {within_s:g} s", headers=_CLOSE) from None
    except ClientDisconnect:
        raise Problem("malformed", "the connection ended within the body", headers=_CLOSE) from None
    return bytes(body)


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
    if media == NDJSON:
        parts = Body([line for line in body.split(b"\n") if line.strip()], one=False)
    elif body.lstrip()[:1] != b"[":
        parts = Body([body], one=True)
    else:
        try:
            parts = Body([bytes(raw) for raw in _raw_list(body)], one=False)
        except RecursionError:
            raise Problem("malformed", "the array nests too deeply") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem("malformed", str(error)) from None
    if not parts.records:
        raise Problem("malformed", f"the body has no record: send 1 to {MOST_RECORDS}")
    if len(parts.records) > MOST_RECORDS:
        raise Problem("too-large", f"{len(parts.records)} records, at most {MOST_RECORDS}: send them in several requests")
    return parts


def _too_large(most: int) -> str:
    return f"the body may have at most {most} bytes: send its records in several requests"
