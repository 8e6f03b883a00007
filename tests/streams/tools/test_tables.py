"""Tables as programs write them, and tables that would be misread."""

from __future__ import annotations

import gzip
from pathlib import Path

import cramjam
import pytest
from support.recorded_files import lines_of, shown, written

from streams.settings import Settings
from streams.tools.recorded import Report
from streams.tools.text import FileError

AT = 1_569_888_500_000
NAMES = "user_id,item_id,timestamp"
ROW = "16,i,1569888500"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f"{NAMES}\r{ROW}\r", {}),
        (f"\n\n{NAMES}\n\n{ROW}\n\n", {}),
        (f"{NAMES}\n{ROW}", {}),
        (f"{NAMES},\n{ROW},\n", {}),
        (f"{NAMES}\n{ROW},\n", {}),
        ("user_id, item_id, timestamp\n16, i, 1569888500\n", {}),
        ('user_id, title, item_id, timestamp\n16, "a, b", i, 1569888500\n', {}),
        (" user_id | item_id | timestamp \n 16 | i | 1569888500 \n", {}),
        ('"user_id","item_id","timestamp"\n"16","i","1569888500"\n', {}),
        ('"user_id"\t"item_id"\t"timestamp"\n"16"\t"i"\t"1569888500"\n', {}),
        ('"user_id"|"item_id"|"timestamp"|"n"\n"16"|"i"|1569888500|"a|b"\n', {}),
        ("User ID;Item-Id;TIMESTAMP\n16;i;1569888500\n", {"columns": "user_id=User ID"}),
        ("USERID,ITEMID,EVENTTIME\n16,i,1569888500\n", {}),
        (f"sep=,\n{NAMES}\n{ROW}\n", {}),
        ("sep=;\r\nuser_id;item_id;timestamp\r\n16;i;1569888500\r\n", {}),
        ("user_id:token\titem_id:token\ttimestamp:float\n16\ti\t1569888500\n", {}),
        ("userId,movieId,rating,timestamp\n16,i,3.5,1569888500\n", {"columns": "item_id=movieId"}),
        ("session_id,item_id,date\n16,i,2019-10-01 00:08:20.000\n", {}),
        ("user_id,item_id,timestamp\n16,i,2019/10/01 00:08:20\n", {}),
        ("user_id,item_id,timestamp\n16,i,2019.10.01 00:08:20\n", {}),
        ("user_id,item_id,timestamp\n16,i,1569888500.0\n", {}),
        ("user_id,item_id,timestamp\n16,i,01.10.2019 00:08:20\n", {"time_format": "%d.%m.%Y %H:%M:%S"}),
        ("user_id,item_id,timestamp,price\n16,i,1569888500,\"1.299,00\"\n", {}),
        ("user_id,item_id,timestamp,timestamp\n16,i,1569888500,2019-10-02\n",
         {"columns": "user_id=0,item_id=1,timestamp=2"}),
        ("user_id,item_id,timestamp,x,x\n16,i,1569888500,1,2\n", {}),
    ],
)  # fmt: skip
def test_a_table_is_read_however_it_is_written(tmp_path: Path, text: str, options: dict[str, str]) -> None:
    for name, data in (("t.csv", text.encode()), ("bom.txt", b"\xef\xbb\xbf" + text.encode()), ("16.tsv", text.encode("utf-16"))):
        assert [shown(line) for line in lines_of(written(tmp_path, name, data), **options)] == [("16", "i", AT)]


def test_a_separator_that_is_not_found_is_asked_for(tmp_path: Path) -> None:
    path, columns = written(tmp_path, "s.dat", "16 i 1569888500\n"), "user_id=0,item_id=1,timestamp=2"
    with pytest.raises(FileError, match=r"^s\.dat: no column 1; it has 0\. .*--separator"):
        lines_of(path, columns=columns)
    assert [shown(line) for line in lines_of(path, columns=columns, separator="space")] == [("16", "i", AT)]


def test_the_compression_is_told_by_the_contents(tmp_path: Path) -> None:
    text = f"{NAMES}\n{ROW}\n".encode()
    half = len(text) // 2
    for name, data in (
        ("gzip.csv", gzip.compress(text)),
        ("two.csv", gzip.compress(text[:half]) + gzip.compress(text[half:])),
        ("zstd.tsv.gz", bytes(cramjam.zstd.compress(text))),
        ("frames.csv", bytes(cramjam.zstd.compress(text[:half])) + bytes(cramjam.zstd.compress(text[half:]))),
        ("plain.csv.gz", text),
    ):
        assert [shown(line) for line in lines_of(written(tmp_path, name, data))] == [("16", "i", AT)], name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{NAMES},timestamp\n{ROW},1569888501\n", "t.csv: several columns are named timestamp: name the columns by position"),
        (f"{NAMES},event_time,event_time\n{ROW},1,2\n", "t.csv: several columns are named event_time: "),
        ("userId,movieId,rating,timestamp\n16,i,3.5,1569888500\n", "t.csv: no column for item_id; its first line is userId,mov"),
        (
            "16,i,1569888500\n",
            "t.csv: no column for item_id, timestamp, user_id or session_id; its first line is 16,i,1569888500",
        ),
        (
            "user_id,item_id,timestamp\n16,i,43739.0057870370\n",
            r"t.csv:2: the time is 43739 s after 1970, so it may not be a time",
        ),
        ("user_id,item_id,timestamp\n16,i,201910\n", "t.csv:2: the time is 201910 s after 1970"),
    ],
)
def test_a_table_that_would_be_misread_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileError) as refused:
        lines_of(written(tmp_path, "t.csv", text))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04\x14\0", "a zip archive: unpack it, or save a sheet of Excel as CSV"),
        (b"BZh91AY&SY\0\0", "compressed with bzip2: unpack it"),
        (b"\xfd7zXZ\0\0", "compressed with xz: unpack it"),
        (b"PAR1\x15\0\x15", "Parquet: write it as CSV or JSON lines"),
        (b"Obj\x01\x04\x16avro", "Avro: write it as CSV or JSON lines"),
        (b"SQLite format 3\0\x10", "a database of SQLite: write a table of it as CSV"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    for name, content in (("t.csv", data), ("t.json.gz", gzip.compress(data))):
        with pytest.raises(FileError) as refused:
            lines_of(written(tmp_path, name, content))
        assert str(refused.value) == f"{name}: it is {message}"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("16,a, b,i,1569888500", "wrong_type: the line has 5 cells, the header has 4"),
        ("16,t,,1569888500", "missing_field: item_id"),
        ("16,t,i,", "missing_field: timestamp"),
        ("16,t,i", "missing_field: timestamp"),
        (",t,i,1569888500", "missing_field: user_id or session_id"),
        ("\\N,t,i,1569888500", "missing_field: user_id or session_id"),
        ("16,t,NULL,1569888500", "missing_field: item_id is 'NULL', which means that there is none"),
        ("16,t,i,NULL", "wrong_type: timestamp is 'NULL', which is neither an epoch time"),
        ("16,t,i,-1569888500", "wrong_type: timestamp is '-1569888500'"),
        ("16,t,i,1.56989E+09", "wrong_type: timestamp is '1.56989E+09'"),
        ("16,t,i,01/10/2019", "wrong_type: timestamp is '01/10/2019', which is neither an epoch time, ISO 8601 nor RFC 2822"),
        ("16,t,i,2019-10-01 08:20 PM", "out_of_bounds: timestamp is '2019-10-01 08:20 PM', which is not a valid time"),
        ("16,t,i,2019/13/01", "out_of_bounds: timestamp is '2019/13/01', which is not a valid time"),
        ("16,t,i,2019-10-01 00:08:20 Europe/Berlin", "out_of_bounds: "),
    ],
)
def test_a_line_that_is_no_event_is_counted_with_its_number(tmp_path: Path, cells: str, reason: str) -> None:
    report = Report()
    lines = lines_of(
        written(tmp_path, "t.csv", f"\nuser_id,title,item_id,timestamp\n{cells}\n17,t,j,1569888501\n"), report=report
    )
    assert [shown(line) for line in lines] == [("17", "j", AT + 1000)]
    assert report.examples[0].startswith(f"t.csv:3: {reason}")
    assert (report.lines, report.left_out.total()) == (2, 1)


def test_a_price_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    report = Report()
    lines = lines_of(written(tmp_path, "t.csv", f"{NAMES},price\n{ROW},call us\n{ROW},5\n"), report=report)
    assert [line.event.price for line in lines] == [None, 5.0]
    assert str(report) == "read 2 lines: 2 events; fields that cannot be read: 1 price"


@pytest.mark.parametrize("name", ["user_id", "session_id"])
@pytest.mark.parametrize("header", [True, False])
def test_a_number_of_zero_is_the_first_id_of_a_file_that_numbers_them(tmp_path: Path, name: str, header: bool) -> None:
    text = f"{name},item_id,timestamp\n" * header + "0,0,1569888500\n1,5,1569888501\n"
    columns = "" if header else f"{name}=0,item_id=1,timestamp=2"
    report = Report()
    lines = lines_of(written(tmp_path, "t.csv", text), columns=columns, report=report)
    assert [shown(line) for line in lines] == [("0", "0", AT), ("1", "5", AT + 1000)]
    assert (report.left_out.total(), report.of_zero) == (0, 1)
    settings, report = Settings(guests=["0"]), Report()
    assert len(lines_of(tmp_path / "t.csv", columns=columns, report=report, settings=settings)) == 1
    assert report.left_out == {"missing_field": 1}


def test_a_user_of_zero_with_a_session_is_unknown(tmp_path: Path) -> None:
    (line,) = lines_of(written(tmp_path, "t.csv", f"session_id,{NAMES}\ns,0,i,1569888500\n"))
    assert (line.event.user_id, line.event.session_id) == (None, "s")
