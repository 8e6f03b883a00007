"""Opens a file of text, whatever its compression and encoding."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO, cast

import cramjam

from streams.errors import Refused

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
OTHERS = {
    b"PK\x03\x04": "a zip archive: unpack it, or save a sheet of Excel as CSV",
    b"BZh": "compressed with bzip2: unpack it",
    b"\xfd7zXZ": "compressed with xz: unpack it",
    b"PAR1": "Parquet: write it as CSV or JSON lines",
    b"Obj\x01": "Avro: write it as CSV or JSON lines",
    b"SQLite format 3\0": "a database of SQLite: write a table of it as CSV",
}
"""What a file is that begins with these bytes, and what to do."""
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
PEEKED = 4096
_WIDE = re.compile("16|32")
"""In the names of encodings with zero bytes."""


class FileError(Refused):
    """A file cannot be read. The message says why, in one line."""


@contextmanager
def opened(path: Path, encoding: str) -> Iterator[TextIO]:
    """Open a file, also with gzip or zstd, until the block ends.

    A byte order mark decides the encoding, and else ``encoding``. Raises `FileError`, also from
    within the block, if the file is damaged or has another encoding.
    """
    try:
        with path.open("rb") as raw:
            data = _uncompressed(path, raw)
            start = data.peek(PEEKED)[:PEEKED]
            if other := next((text for magic, text in OTHERS.items() if start.startswith(magic)), ""):
                raise FileError(f"{path.name}: it is {other}")
            found = next((name for bom, name in BOMS.items() if start.startswith(bom)), encoding)
            if b"\0" in start and not _WIDE.search(found):
                raise FileError(f"{path.name}: it has zero bytes, so it is not {encoding}. Name its encoding with --encoding")
            yield io.TextIOWrapper(data, encoding=found, newline="")
    except UnicodeError as error:
        right = "Name its encoding with --encoding, such as latin-1"
        raise FileError(f"{path.name}: it is not {encoding}: {error}. {right}") from None
    except (EOFError, gzip.BadGzipFile, cramjam.DecompressionError) as error:
        raise FileError(f"{path.name}: it cannot be decompressed: {error}") from None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from None


def _uncompressed(path: Path, raw: IO[bytes]) -> io.BufferedReader:
    buffered = cast(io.BufferedReader, raw)
    start = buffered.peek(4)[:4]
    if start.startswith(GZIP):
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=buffered)))
    if start == ZSTD:
        return io.BufferedReader(cast(io.RawIOBase, io.BytesIO(bytes(cramjam.zstd.decompress(buffered.read())))))
    return buffered
