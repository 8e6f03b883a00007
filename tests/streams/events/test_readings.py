from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.events.bounds import BadRecord
from streams.events.readings import read_flag, read_list, read_number, read_object


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (7, 7.0), (1.5, 1.5), ("18.99", 18.99), (" 20 ", 20.0), ("-3", -3.0), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0),
        ("1,299.00", 1299.0), ("1.299,00", 1299.0), ("1,299", 1299.0), ("1.299", 1.299), ("12,5", 12.5), ("0,125", 125.0),
        ("1 299,50", 1299.5), ("1\u202f299,50", 1299.5), ("1'299.50", 1299.5), ("1,234,567", 1234567.0), ("1.234.567", 1234567.0),
        ("$18.99", 18.99), ("18,99 €", 18.99), ("USD 5", 5.0), ("5 EUR", 5.0),
    ],
)  # fmt: skip
def test_a_number_is_read_however_it_is_written(written: object, number: float) -> None:
    assert read_number("price", written) == number


@pytest.mark.parametrize("written", ["", "abc", "1,2,3", "1.2.3", "12 34", "NaN", "inf", "1e999", True, None, [], "1" * 41, "٣"])
def test_what_is_not_a_number_names_the_field(written: object) -> None:
    with pytest.raises(BadRecord) as bad:
        read_number("price", written)
    assert bad.value.detail.startswith("price is ")


@pytest.mark.parametrize("written", [True, 1, 1.0, "1", "true", "True", "TRUE", " yes ", "Y", "t", "on"])
def test_a_flag_is_true_in_every_common_spelling(written: object) -> None:
    assert read_flag("is_hidden", written) is True


@pytest.mark.parametrize("written", [False, 0, "0", "false", "No", "n", "off", "F", ""])
def test_a_flag_is_false_in_every_common_spelling(written: object) -> None:
    assert read_flag("is_hidden", written) is False


@pytest.mark.parametrize("written", [2, "maybe", [], None, float("nan")])
def test_what_is_not_a_flag_is_rejected_with_what_is_allowed(written: object) -> None:
    with pytest.raises(BadRecord, match="write true or false"):
        read_flag("is_hidden", written)


def test_an_object_may_be_json_text() -> None:
    assert read_object("properties", {"a": 1}) == {"a": 1}
    assert read_object("properties", '{"a": [1, "x"]}') == {"a": [1, "x"]}
    for wrong in ("[1]", "text", '{"a": ', 7, None, "\ud800"):
        with pytest.raises(BadRecord, match="properties is "):
            read_object("properties", wrong)


def test_a_list_may_be_json_text_or_text_with_separators() -> None:
    for written in (["a", "b"], '["a", "b"]', "a|b", "a; b", "a, b,"):
        assert read_list("categories", written) == ["a", "b"]
    assert read_list("categories", "Books, Fiction|Crime") == ["Books, Fiction", "Crime"]
    assert read_list("categories", "Books") == ["Books"]
    assert read_list("categories", "") == []
    for wrong in (7, {"a": 1}, None, "[1,"):
        with pytest.raises(BadRecord, match="categories is "):
            read_list("categories", wrong)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything: st.SearchStrategy[Any] = st.recursive(leaves, lambda below: st.lists(below) | st.dictionaries(st.text(), below))


@given(anything)
def test_whatever_is_written_is_read_or_rejected(written: object) -> None:
    for read in (read_number, read_flag, read_object, read_list):
        with suppress(BadRecord):
            read("field", written)  # type: ignore[operator]


@pytest.mark.parametrize("value", [10**5000, 2, "maybe", 0.5], ids=["long", "short", "word", "fraction"])
def test_a_flag_of_any_number_is_refused_in_one_short_line(value: object) -> None:
    with pytest.raises(BadRecord, match="write true or false"):
        read_flag("is_hidden", value)
