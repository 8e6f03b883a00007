"""Whatever is wrong with the bytes of a topic is one kind of error."""

from __future__ import annotations

import msgspec
import pytest

from streams.errors import BadData
from streams.events.records import Transition
from streams.kafka.decoding import decoded
from streams.learning.model_log import SnapshotRefused


class Shape(msgspec.Struct):
    name: str
    size: int = 0


json_decoder, msgpack_decoder = msgspec.json.Decoder(Shape), msgspec.msgpack.Decoder(Shape)


def test_good_bytes_are_decoded() -> None:
    assert decoded(json_decoder.decode, b'{"name": "a"}') == Shape("a")
    assert decoded(msgpack_decoder.decode, msgspec.msgpack.encode(Shape("a", 3))) == Shape("a", 3)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null"),
        (b"", "undecodable"),
        (b"{nonsense", "undecodable"),
        (b"[]", "undecodable"),
        (b"{}", "undecodable"),
        (b'{"name": 1}', "undecodable"),
        (b'{"name": "a", "size": 1e400}', "undecodable"),
        (b'{"name": "\xff"}', "undecodable"),
        (b'{"name": "a", "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "undecodable"),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_bad_json_is_bad_data(value: bytes | None, reason: str) -> None:
    with pytest.raises(BadData) as caught:
        decoded(json_decoder.decode, value)
    assert caught.value.reason == reason
    assert caught.value.detail


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xc1", b"\x93", b"\x81\xa4name\xa1\xff", b"\x81\xa4name\x01", b"\x91" * 100_000],
    ids=lambda v: repr(v)[:20],
)
def test_bad_msgpack_is_bad_data(value: bytes | None) -> None:
    with pytest.raises(BadData):
        decoded(msgpack_decoder.decode, value)


def test_a_caller_names_its_own_kind_of_bad_data() -> None:
    with pytest.raises(SnapshotRefused):
        decoded(json_decoder.decode, b"{", SnapshotRefused)


def test_other_errors_pass_through() -> None:
    def fail(value: bytes) -> Shape:
        raise LookupError(value)

    with pytest.raises(LookupError):
        decoded(fail, b"x")


def test_a_transition_whose_text_is_not_utf8_is_bad_data() -> None:
    with pytest.raises(BadData):
        decoded(msgspec.json.Decoder(Transition).decode, b'{"source_partition": 0, "source_offset": 0, "item_id": "\xff"}')
