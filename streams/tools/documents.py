"""Splits a file of JSON into the bytes of its documents: JSON lines, an array, or one document."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import msgspec

from streams.tools.text import FileError

SUFFIXES = (".json", ".jsonl", ".ndjson")
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NOT_BLANK = re.compile(r"[^ \t\r\n]")
_any = msgspec.json.Decoder().decode


def is_json(suffix: str, stream: TextIO) -> bool:
    """Whether a file holds JSON, by its suffix or its first character. Does not move the stream."""
    if suffix in SUFFIXES:
        return True
    start = stream.read(64)
    stream.seek(0)
    return start.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def documents(path: Path, stream: TextIO) -> Iterator[tuple[int, bytes]]:
    """Yield each document with its number from 1: that of its line, or its place in the file.

    A document may be invalid; its decoder reports that. Raises `FileError` for an array that is not
    JSON.
    """
    first = ""
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        if not first:
            first = line.lstrip()
            if first.startswith("["):
                yield from _elements(path, line + stream.read())
                return
            if not _whole(first):
                rest = stream.read()
                if _whole(first + rest):
                    yield number, (first + rest).encode()
                    return
                several = list(_one_after_the_other(first + rest))
                if several:
                    yield from enumerate(several, start=1)
                    return
                yield number, first.encode()
                lines = io.StringIO(rest, newline="")  # other characters than these end no line of JSON
                yield from ((number + n, text.encode()) for n, text in enumerate(lines, start=1) if text.strip())
                return
        yield number, line.encode()


def _elements(path: Path, text: str) -> Iterator[tuple[int, bytes]]:
    try:
        elements = _array(text.encode())
    except (msgspec.DecodeError, RecursionError) as error:
        raise FileError(f"{path.name}: the array is not JSON: {error}") from None
    yield from ((number, bytes(element)) for number, element in enumerate(elements, start=1))


def _one_after_the_other(text: str) -> Iterator[bytes]:
    """Yield the documents of a text, as `jq` writes them; none if it holds anything else."""
    at, ends = 0, list[tuple[int, int]]()
    scan = json.JSONDecoder().raw_decode
    try:
        while at < len(text):
            end = scan(text, at)[1]
            ends.append((at, end))
            following = _NOT_BLANK.search(text, end)
            at = following.start() if following else len(text)
    except (ValueError, RecursionError):
        return
    yield from (text[begin:end].encode() for begin, end in ends)


def _whole(text: str) -> bool:
    try:
        _any(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True
