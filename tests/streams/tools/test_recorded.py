"""Files are read as live events are, or refused in one line; nothing is left out in silence."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import cramjam
import pytest
from support.recorded_files import lines_of, shown, written

from streams.errors import NothingRead
from streams.settings import Settings
from streams.tools.recorded import Report, find_files
from streams.tools.text import FileError

SECONDS = 1_569_888_500


def test_tables_are_merged_by_event_time_and_event_ids_come_from_the_contents(tmp_path: Path) -> None:
    written(tmp_path, "a.txt", "SessionId\tItemId\tTime\n1\t10\t1600000002.5\n1\t11\t1600000000\n")
    written(tmp_path, "b.txt", "Time\tItemId\tSessionId\n1600000001\t20\t2\n")
    lines = lines_of(tmp_path)
    assert [shown(line) for line in lines] == [
        ("1", "11", 1600000000000),
        ("2", "20", 1600000001000),
        ("1", "10", 1600000002500),
    ]
    assert [line.key for line in lines] == [b"1", b"2", b"1"]
    again = lines_of(tmp_path)
    assert [line.event.event_id for line in lines] == [line.event.event_id for line in again]
    assert len({line.event.event_id for line in lines}) == 3


def test_the_columns_of_a_table_may_be_named(tmp_path: Path) -> None:
    path = written(tmp_path, "c.csv", "who,what,when\nann,mug,2023-11-14T22:13:20Z\n")
    (line,) = lines_of(path, columns="user_id=who,item_id=what,timestamp=when")
    assert shown(line) == ("ann", "mug", 1_700_000_000_000)
    with pytest.raises(FileError, match="no column for item_id, timestamp, user_id or session_id; its first line is who,what"):
        lines_of(path)
    with pytest.raises(FileError, match="no column whom; it has who, what, when"):
        lines_of(path, columns="user_id=whom,item_id=what,timestamp=when")


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("yoochoose.dat", "16,2019-10-01T00:08:20.000Z,i,0\n", {"columns": "session_id=0,timestamp=1,item_id=2"}),
        ("ratings.dat", "16::i::3::1569888500\n", {"columns": "user_id=0,item_id=1,timestamp=3"}),
        ("u.data", "16\ti\t2\t1569888500\n", {"columns": "user_id=0,item_id=1,timestamp=3"}),
        ("taobao.csv", "16,i,2,pv,1569888500\n", {"columns": "user_id=0,item_id=1,event_type=3,timestamp=4"}),
        ("own.csv", "16 i 1569888500\n", {"columns": "user_id=0,item_id=1,timestamp=2", "separator": "space"}),
        ("semicolon.csv", "sessionId;userId;itemId;eventdate\n16;NA;i;2019-10-01 00:08:20\n",
         {"columns": "session_id=sessionId,user_id=userId,item_id=itemId,timestamp=eventdate"}),
        ("personalize.csv", "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n16,i,View,1569888500\n", {}),
        ("recbole.inter", "user_id:token\titem_id:token\ttimestamp:float\n16\ti\t1569888500.0\n",
         {"columns": "user_id=user_id:token,item_id=item_id:token,timestamp=timestamp:float"}),
        ("rees46.csv", "event_time,event_type,product_id,price,user_id,user_session\n"
         "2019-10-01 00:08:20 UTC,cart,i,9.5,16,s\n", {}),
        ("bom.csv", "\ufeffuser_id,item_id,timestamp\n16,i,1569888500\n", {}),
        ("crlf.csv", "user_id,item_id,timestamp\r\n16,i,1569888500\r\n", {}),
        ("array.json", '[{"user_id": 16,\n "item_id": "i", "timestamp": 1569888500}]', {}),
        ("pretty.json", '{\n"user_id": 16,\n"item_id": "i",\n"timestamp": 1569888500\n}\n', {}),
        ("otto.jsonl", '{"session": 16, "events": [{"aid": "i", "ts": 1569888500000, "type": "clicks"}]}\n', {}),
        ("otto_flat.jsonl", '{"session": 16, "aid": "i", "ts": 1569888500000, "type": "carts"}\n', {}),
        ("columns.jsonl", '{"who": {"id": 16}, "what": "i", "ts": 1569888500}\n', {"columns": "user_id=who.id,item_id=what"}),
    ],
)  # fmt: skip
def test_the_files_of_the_trade_are_read(tmp_path: Path, name: str, text: str, options: dict[str, str]) -> None:
    report = Report()
    (line,) = lines_of(written(tmp_path, name, text), report=report, **options)
    assert shown(line) == ("16", "i", SECONDS * 1000)
    assert (report.lines, report.events, report.left_out.total()) == (1, 1, 0)


def test_compressed_files_and_folders_of_them_are_read(tmp_path: Path) -> None:
    text = b"user_id,item_id,timestamp\nu,i,1569888500\n"
    written(tmp_path, "a.csv.gz", gzip.compress(text))
    written(tmp_path, "b.csv.zst", bytes(cramjam.zstd.compress(text)))
    assert [shown(line) for line in lines_of(tmp_path)] == [("u", "i", SECONDS * 1000)] * 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le"])
def test_another_encoding_is_read_if_it_is_named_and_refused_in_one_line_if_not(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, "e.csv", "user_id,item_id,timestamp\nu,caf\u00e9,1569888500\n".encode(encoding))
    assert [line.event.item_id for line in lines_of(path, encoding=encoding)] == ["caf\u00e9"]
    if encoding == "utf-16":  # it has a byte order mark
        assert [line.event.item_id for line in lines_of(path)] == ["caf\u00e9"]
    else:
        with pytest.raises(FileError, match=r"^e\.csv: .*--encoding"):
            lines_of(path)


def test_a_quote_mark_in_a_file_with_tabs_is_a_character(tmp_path: Path) -> None:
    rows = "".join(f"u{n}\t{start}i{n}\t{SECONDS + n}\n" for n, start in enumerate(["", '"', "", '"', ""]))
    path = written(tmp_path, "q.tsv", "user_id\titem_id\ttimestamp\n" + rows)
    assert [line.event.item_id for line in lines_of(path)] == ["i0", '"i1', "i2", '"i3', "i4"]


def test_a_quote_mark_without_a_partner_in_a_csv_is_told_with_its_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "q.csv", 'user_id,item_id,timestamp\nu,"a, b",1569888500\nu,"x,1569888501\nu,y,1569888502\n')
    report = Report()
    assert [line.event.item_id for line in lines_of(path, report=report)] == ["a, b"]
    assert report.left_out == {"wrong_type": 1}
    assert "q.csv:3: wrong_type: lines 3 to 4: a quote mark has no partner" in report.examples[0]


def test_json_lines_keep_their_fields_and_invalid_lines_are_counted_by_reason(tmp_path: Path) -> None:
    good = '{"event_id": "x", "user_id": "u", "item_id": "i", "timestamp": 1700000000000, "price": "2,50"}'
    ignored = '{"type": "identify", "userId": "u", "timestamp": 1700000000000}'
    report = Report()
    (line,) = lines_of(written(tmp_path, "e.jsonl", f"{good}\nnope\n{{}}\n[1]\n{ignored}\n"), report=report)
    assert (line.event.event_id, line.event.price) == ("x", 2.5)
    assert str(report).startswith("read 5 lines: 1 events; left out 4: ")
    assert report.left_out == {"invalid_json": 1, "missing_field": 1, "not_an_object": 1, "ignored": 1}
    assert report.examples[0].startswith("e.jsonl:2: ")


def test_every_unit_of_time_is_read_and_files_of_different_units_are_merged(tmp_path: Path) -> None:
    for name, factor in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        row = {"user_id": name, "item_id": "i", "timestamp": SECONDS * factor}
        written(tmp_path, f"{name}.jsonl", json.dumps(row) + "\n")
    assert {line.at for line in lines_of(tmp_path)} == {SECONDS * 1000}


@pytest.mark.parametrize("value", [0, 1, 449, "449", 20_786, 946_684_799])
def test_a_time_that_may_not_be_one_stops_the_file_until_its_unit_is_named(tmp_path: Path, value: object) -> None:
    path = written(tmp_path, "r.jsonl", json.dumps({"user_id": "u", "item_id": "i", "timestamp": value}) + "\n")
    with pytest.raises(FileError, match=r"^r\.jsonl:1: the time is .* after 1970, so it may not be a time: .*--time-unit"):
        lines_of(path)
    (line,) = lines_of(path, time_unit="s")
    assert line.at == int(str(value)) * 1000
    (line,) = lines_of(path, time_unit="days")
    assert line.at == int(str(value)) * 86_400_000


def test_two_units_within_a_file_stop_it(tmp_path: Path) -> None:
    path = written(tmp_path, "m.csv", f"user_id,item_id,timestamp\nu,i,{SECONDS}\nu,j,{SECONDS}000000\n")
    with pytest.raises(FileError, match=r"^m\.csv:3: the time is in us, that of line 2 in s: "):
        lines_of(path)


def test_times_of_a_form_of_their_own_are_read_by_their_format(tmp_path: Path) -> None:
    path = written(tmp_path, "f.csv", "user_id,item_id,timestamp\nu,i,01/10/2019 00:08\n")
    (line,) = lines_of(path, time_format="%d/%m/%Y %H:%M")
    assert line.at == 1_569_888_480_000
    report = Report()
    assert lines_of(path, report=report) == []
    assert "neither an epoch time, ISO 8601 nor RFC 2822" in report.examples[0]


def test_the_mapping_and_the_event_types_of_the_settings_apply(tmp_path: Path) -> None:
    settings = Settings(field_mapping={"item_id": "lines.*.sku"}, event_types={"3": "purchase"})
    row = {"user_id": "u", "kind": 1, "type": 3, "ts": SECONDS, "lines": [{"sku": "p"}, {"sku": "q"}]}
    lines = lines_of(written(tmp_path, "m.jsonl", json.dumps(row) + "\n"), settings=settings)
    assert [(line.event.item_id, line.event.event_type) for line in lines] == [("p", "purchase"), ("q", "purchase")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b"[1,", "the array is not JSON"),
        ("cut.csv.gz", gzip.compress(b"user_id,item_id,timestamp\n" * 500)[:60], "cannot be decompressed"),
        ("cut.csv.zst", b"\x28\xb5\x2f\xfdnonsense", "cannot be decompressed"),
        ("z.csv", b"PK\x03\x04...", "zip archive"),
        ("n.csv", b"a\0b", "zero bytes"),
    ],
    ids=["array", "gzip", "zstd", "zip", "binary"],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message) as refused:
        lines_of(written(tmp_path, name, content))
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["empty.csv", "empty.jsonl"])
def test_an_empty_file_has_nothing_to_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(NothingRead, match=f"^{name}: it is empty$") as error:
        lines_of(written(tmp_path, name, b""))
    assert error.value.exit_code == 1


def test_no_files_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileError):
            find_files([path])


def test_real_clicks_are_read_whole(data: Path) -> None:
    report = Report()
    lines = lines_of(data / "rsc15", report=report)
    assert (len(lines), report.left_out.total()) == (83_846, 0)
    assert all(one.at <= other.at for one, other in pairwise(lines))


def test_a_damaged_first_line_does_not_break_the_lines_after_it_at_other_ends_of_lines(tmp_path: Path) -> None:
    """JSON allows line and paragraph separators of Unicode within a text."""
    events = [
        {"item_id": f"a{n}", "user_id": "u", "timestamp": SECONDS + n, "properties": {"x": "a\u2028b\x85c"}} for n in range(2)
    ]
    text = "{no json\n" + "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
    report = Report()
    lines = lines_of(written(tmp_path, "events.jsonl", text), report=report)
    assert [(line.event.item_id, line.number) for line in lines] == [("a0", 2), ("a1", 3)]
    assert (report.lines, report.left_out) == (3, {"invalid_json": 1})
