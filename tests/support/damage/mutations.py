"""Hypothesis strategies that damage a valid record: its bytes, types, ranges, headers and key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from hypothesis import strategies as st

from streams.wire.record import Record

Bytes = Callable[[bytes], bytes]
DIGITS = b"9" * 5000
DEEP = 100_000
NOT_UTF8, SURROGATE = "\ue000", "\ue001"
"""Characters that stand for bytes which no JSON encoder writes, until the value is encoded."""
RAW = {NOT_UTF8: b"\xff\xfe", SURROGATE: b"\\ud800"}
HUGE = '"\ue002"'
"""A text that stands for a number of thousands of digits."""
INFINITE = '"\ue003"'

numbers = st.sampled_from([0, -1, 1, 2**31, 2**40, 2**53 + 1, 2**62, 2**63, 2**64, 2**70, -(2**63) - 1, 3 * 10**7]) | st.integers(
    -(2**70), 2**70
)
floats = st.sampled_from([1e300, -1e300, 1e-320, -0.5, 0.5, 1e9, float("inf"), float("nan")])
texts = st.sampled_from(["", "x" * 300, "a" + NOT_UTF8, SURROGATE, "\x00", "\ue002", "\ue003", "[/b]", "9" * 400, "é\u2028"])
strange = st.one_of(
    numbers, floats, texts, st.none(), st.booleans(), st.just([]), st.just({}), st.just([[[]]]), st.just({"a": {"b": []}}),
    st.lists(st.integers(0, 3), max_size=3),
)  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value within a decoded record, the record itself included."""
    yield path
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in inner:
        yield from places(value, (*path, name))


def replaced(tree: Any, path: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    """A copy of the tree with another value at this path, or without the value there."""
    if not path:
        return value
    copy, (name, *rest) = (dict(tree) if isinstance(tree, dict) else list(tree)), path
    if rest:
        copy[name] = replaced(copy[name], tuple(rest), value, remove=remove)
    elif remove:
        del copy[name]
    else:
        copy[name] = value
    return copy


def to_json(tree: Any) -> bytes:
    """The tree as JSON, or as what looks like it."""
    encoded = json.dumps(tree, ensure_ascii=False).encode()
    for character, raw in RAW.items():
        encoded = encoded.replace(character.encode(), raw)
    return encoded.replace(HUGE.encode(), DIGITS).replace(INFINITE.encode(), b"1e999")


def to_msgpack(tree: Any) -> bytes:
    """The tree as MessagePack, whose integers have at most 64 bits."""

    def bounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: bounded(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [bounded(inner) for inner in value]
        return max(min(value, 2**64 - 1), -(2**63)) if type(value) is int else value

    return msgspec.msgpack.encode(bounded(tree)).replace(NOT_UTF8.encode(), b"\xff\xfe\xfd")


@st.composite
def trees(draw: st.DrawFn, tree: Any, encode: Callable[[Any], bytes]) -> bytes:
    """The encoded tree after a value in it, or a few, were replaced or removed."""
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(tree))))
        remove = bool(path) and isinstance(path[-1], str | int) and draw(st.integers(0, 4)) == 0
        tree = replaced(tree, path, draw(strange), remove=remove)
        if not isinstance(tree, dict | list):
            break
    return encode(tree)


@st.composite
def damaged_bytes(draw: st.DrawFn, value: bytes) -> bytes:
    """The bytes after a bit was flipped, or some bytes were replaced, inserted or removed."""
    at = draw(st.integers(0, max(len(value) - 1, 0)))
    match draw(st.sampled_from(["flip", "splice", "cut"])):
        case "flip" if value:
            return value[:at] + bytes([value[at] ^ 1 << draw(st.integers(0, 7))]) + value[at + 1 :]
        case "cut":
            return value[:at]
    return value[:at] + draw(st.binary(max_size=8)) + value[at + draw(st.integers(0, 8)) :]


def nested(value: bytes) -> bytes:
    """A JSON object with one more field, which nests deeper than any decoder allows."""
    return value[:-1] + b', "more": ' + b"[" * DEEP + b"]" * DEEP + b"}" if value.startswith(b"{") else b"[" * DEEP


Header = tuple[str, bytes | None]
header_values = st.sampled_from(
    [None, b"", b"-1", DIGITS, b"30000000", b"\xff\xff", "²".encode(), b"1e3", b"18446744073709551616"]
)


@st.composite
def headers(draw: st.DrawFn, valid: tuple[Header, ...]) -> tuple[Header, ...]:
    """The headers after one was removed, repeated, or given another value."""
    if not valid:
        return draw(st.sampled_from([(), (("", None),), (("offset", DIGITS),), (("snapshot", b"x"), ("chunk", None))]))
    at = draw(st.integers(0, len(valid) - 1))
    instead = draw(st.sampled_from([(), (valid[at],) * 2, None]))
    changed = ((valid[at][0], draw(header_values)),) if instead is None else instead
    return (*valid[:at], *changed, *valid[at + 1 :])


def damaged(valid: Record, tree: Any = None, encode: Callable[[Any], bytes] = to_json) -> st.SearchStrategy[Record]:
    """Records that differ from a valid one.

    ``tree`` is the decoded value of the record, if it has one, and ``encode`` encodes it.
    """
    value = valid.value or b""
    values = [damaged_bytes(value), st.binary(max_size=60), st.none(), st.just(b""), st.just(nested(value))]
    if tree is not None:
        values += [trees(tree, encode)] * 6

    def record(value: bytes | None, key: bytes | None, headers: tuple[Any, ...], time: int) -> Record:
        return Record(valid.topic, valid.partition, valid.offset, time, key, value, headers)

    same_key, same_headers, same_time = st.just(valid.key), st.just(valid.headers), st.just(valid.timestamp)
    any_key = st.sampled_from([None, b"", b"\xff\xfe", b"x" * 20_000, b"__popular__", b"[/b]", b"u:", b"d:", b"\x00watermark"])
    any_time = st.sampled_from([-1, 0, 2**63 - 1, -(2**63)])
    return st.one_of(
        *[st.builds(record, each, same_key, same_headers, same_time) for each in values],
        st.builds(record, st.just(valid.value), any_key, same_headers, same_time),
        st.builds(record, st.just(valid.value), same_key, headers(valid.headers), same_time),
        st.builds(record, st.one_of(values), any_key, headers(valid.headers), any_time),
    )
