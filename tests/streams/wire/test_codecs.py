"""Every codec of Kafka is decompressed, and neither damaged nor huge data do harm."""

from __future__ import annotations

import gzip
from contextlib import suppress

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.damage.raw_batches import CODECS, COMPRESS, bomb

from streams.wire.codecs import FIRST_GUESS, Undecompressable, decompress

DATA = b'{"user_id": "ann", "item_id": "a"}' * 50
NAMES = [name for name in CODECS if name != "none"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"x", DATA, bytes(20 * FIRST_GUESS)], ids=["empty", "byte", "events", "large"])
def test_each_codec_is_decompressed(name: str, data: bytes) -> None:
    assert decompress(CODECS[name], COMPRESS[name](data)) == data


def test_the_forms_that_other_clients_write_are_decompressed() -> None:
    assert decompress(CODECS["snappy"], bytes(cramjam.snappy.compress_raw(DATA))) == DATA, "librdkafka writes one block"
    little_endian = COMPRESS["snappy"](DATA)
    little_endian = little_endian[:8] + b"\1\0\0\0" * 2 + little_endian[16:]
    assert decompress(CODECS["snappy"], little_endian) == DATA, "Redpanda swaps the bytes of two integers"
    assert decompress(CODECS["gzip"], gzip.compress(DATA[:7]) + gzip.compress(DATA[7:])) == DATA


@pytest.mark.parametrize("name", NAMES)
def test_data_that_expand_too_far_are_refused(name: str) -> None:
    packed = COMPRESS[name](bytes(500_000))
    assert len(decompress(CODECS[name], packed, 500_000)) == 500_000
    with pytest.raises(Undecompressable, match="more than 499999 bytes"):
        decompress(CODECS[name], packed, 499_999)


def test_a_bomb_is_refused_with_the_default_limit() -> None:
    packed = bomb(300_000_000)
    assert len(packed) < 20_000
    with pytest.raises(Undecompressable, match="more than 134217728 bytes"):
        decompress(CODECS["zstd"], packed)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(Undecompressable, match="unknown number 7"):
        decompress(7, DATA)


@given(st.sampled_from(NAMES), st.binary(max_size=300))
def test_random_bytes_are_refused_or_decompressed(name: str, data: bytes) -> None:
    _tried(name, data)


@given(st.sampled_from(NAMES), st.integers(0, 80), st.binary(max_size=8), st.integers(0, 8))
def test_damaged_data_are_refused_or_decompressed(name: str, at: int, noise: bytes, gone: int) -> None:
    packed = COMPRESS[name](DATA)
    _tried(name, packed[:at] + noise + packed[at + gone :])


def _tried(name: str, data: bytes) -> None:
    with suppress(Undecompressable):
        assert len(decompress(CODECS[name], data, 100_000)) <= 100_000
