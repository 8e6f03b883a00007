"""Request bodies: bounded in size and time, of a type that is read, and split into records."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from starlette.requests import ClientDisconnect, Request

from serving.http.documents import JSON, NDJSON
from serving.http.problems import Problem

MOST_RECORDS = 500
_CLOSE = {"connection": "close"}
_raw_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Body(NamedTuple):
    """The records of a body. ``one`` says that it is a single record, not a list of one."""

    records: list[bytes]
    one: bool


async def read_body(request: Request, most: int, within_s: float) -> bytes:
    """The body. Raises `Problem` where it is too large, or does not come in time."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem("unsupported-media-type", "no content-encoding is read", headers=_CLOSE)
    told = request.headers.get("content-length", "0")
    if told.isdigit() and int(told) > most:
        raise Problem("too-large", f"at most {most} bytes", headers=_CLOSE)
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise Problem("too-large", f"at most {most} bytes", headers=_CLOSE)
    except TimeoutError:
        raise Problem("too-slow", f"no whole body in {within_s:g} s", headers=_CLOSE) from None
    except ClientDisconnect:
        raise Problem("malformed", "the body's end is missing", headers=_CLOSE) from None
    return bytes(body)


def media_type(request: Request, allowed: Sequence[str]) -> str:
    """The body's type. Raises `Problem` where it is none of those."""
    told = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if told not in allowed:
        raise Problem("unsupported-media-type", f"it must be {' or '.join(allowed)}, not {told[:100] or 'of no type'}")
    return told


def split(body: bytes, media: str) -> Body:
    """One record, a list of them, or one a line, as they came, not looked into. Raises `Problem`."""
    if media == NDJSON:
        found = Body([line for line in body.split(b"\n") if line.strip()], one=False)
    elif body.lstrip()[:1] != b"[":
        found = Body([body], one=True)
    else:
        try:
            found = Body([bytes(raw) for raw in _raw_list(body)], one=False)
        except RecursionError:
            raise Problem("malformed", "it nests too deeply") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Problem("malformed", str(error)) from None
    if not found.records:
        raise Problem("malformed", "no record in it")
    if len(found.records) > MOST_RECORDS:
        raise Problem("too-large", f"{len(found.records)} records, at most {MOST_RECORDS}")
    return found


MEDIA = (JSON, NDJSON)
"""What records may come as."""
