"""The first lines of files that people have, as they are written, with the events they must give.

The files are those of public bug reports and data sets.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.recorded_files import lines_of, shown, written

from streams.settings import Settings
from streams.tools.recorded import Report
from streams.tools.text import FileError

AT = 1_569_888_500_000
REES46_NAMES = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
REES46 = [
    ("2019-10-01 00:08:20", "cart,1004954,2053025563,electronics.c2,brand1,31.50,541312257,00000009-0000-4000-8000-000000000010"),
    ("2019-10-01 00:08:55", "view,1004884,2053025563,electronics.c2,brand0,21.50,541312257,00000009-0000-4000-8000-000000000010"),
    (
        "2019-10-01 00:15:49",
        "purchase,1004961,2053035563,electronics.c3,brand2,32.50,541312400,00000014-0000-4000-8000-00000000001f",
    ),
]
THREE = [("541312257", "1004954", AT), ("541312257", "1004884", AT + 35_000), ("541312400", "1004961", AT + 449_000)]
"""The events of most of these files: user, item and time."""
TYPES = ["add_to_cart", "view", "purchase"]
SESSIONS = [("16", *THREE[0][1:]), ("16", *THREE[1][1:]), ("31", *THREE[2][1:])]
PLAIN = [{"user_id": user, "item_id": item, "timestamp": at // 1000} for user, item, at in THREE]


@pytest.mark.parametrize("utc", [" UTC", ""])
@pytest.mark.parametrize(
    "columns",
    ["", "user_id=user_id,session_id=user_session,item_id=product_id,timestamp=event_time,event_type=event_type,price=price"],
)
def test_the_shop_of_rees46(tmp_path: Path, utc: str, columns: str) -> None:
    rows = "".join(f"{at}{utc},{rest}\n" for at, rest in REES46)
    report = Report()
    for name, data in (("a.csv", (REES46_NAMES + rows).encode()), ("b.csv.gz", gzip.compress((REES46_NAMES + rows).encode()))):
        lines = lines_of(written(tmp_path, name, data), columns=columns, report=report)
        assert [shown(line) for line in lines] == THREE
        assert [(line.event.event_type, line.event.price) for line in lines] == list(zip(TYPES, (31.5, 21.5, 32.5), strict=True))
        assert lines[0].event.session_id == "00000009-0000-4000-8000-000000000010"
    assert str(report) == "read 6 lines: 3 events"


@pytest.mark.parametrize(
    ("name", "text", "columns", "events", "types"),
    [
        ("yoochoose-clicks.dat",
         "16,2019-10-01T00:08:20.000Z,1004954,0\n16,2019-10-01T00:08:55.001Z,1004884,0\n31,2019-10-01T00:15:49.002Z,1004961,0\n",
         "session_id=0,timestamp=1,item_id=2", [(*one[:2], one[2] + n) for n, one in enumerate(SESSIONS)], ["view"] * 3),
        ("ml1m_ratings.dat", "10::23::2::1569888500\n10::13::3::1569888535\n21::24::4::1569888949\n",
         "user_id=0,item_id=1,timestamp=3", [("10", "23", AT), ("10", "13", AT + 35_000), ("21", "24", AT + 449_000)],
         ["view"] * 3),
        ("u.data", "10\t23\t2\t1569888500\n10\t13\t3\t1569888535\n", "user_id=0,item_id=1,timestamp=3",
         [("10", "23", AT), ("10", "13", AT + 35_000)], ["view"] * 2),
        ("taobao_UserBehavior.csv", "9,1004954,2,cart,1569888500\n9,1004884,2,pv,1569888535\n20,1004961,3,buy,1569888949\n",
         "user_id=0,item_id=1,event_type=3,timestamp=4",
         [("9", *THREE[0][1:]), ("9", *THREE[1][1:]), ("20", *THREE[2][1:])], TYPES),
        ("diginetica.csv",
         "sessionId;userId;itemId;timeframe;eventdate\n1;NA;1004975;0;2019-10-01\n1;NA;1004982;142000;2019-10-01\n",
         "session_id=sessionId,item_id=itemId,timestamp=eventdate",
         [("1", "1004975", AT - 500_000), ("1", "1004982", AT - 500_000)], ["view"] * 2),
        ("personalize.csv",
         "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n541312257,1004954,AddToCart,1569888500\n541312257,1004884,View,1569888535\n"
         "541312400,1004961,Purchase,1569888949\n",
         "user_id=USER_ID,item_id=ITEM_ID,timestamp=TIMESTAMP,event_type=EVENT_TYPE", THREE, TYPES),
        ("retailrocket_events.csv",
         "timestamp,visitorid,event,itemid,transactionid\n1569888500000,541312257,addtocart,1004954,\n"
         "1569888535000,541312257,view,1004884,\n1569888949000,541312400,transaction,1004961,552\n",
         "user_id=visitorid,item_id=itemid,timestamp=timestamp,event_type=event", THREE, TYPES),
        ("hm_transactions.csv",
         "t_dat,customer_id,article_id,price,sales_channel_id\n2019-10-01,00002043c501,01004954,0.05082,1\n",
         "user_id=customer_id,item_id=article_id,timestamp=t_dat", [("00002043c501", "01004954", AT - 500_000)], ["view"]),
        ("ml.inter", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n10\t23\t2\t1569888500\n",
         "user_id=user_id:token,item_id=item_id:token,timestamp=timestamp:float", [("10", "23", AT)], ["view"]),
        ("trivago.csv",
         "user_id,session_id,timestamp,step,action_type,reference,platform,city,device,current_filters,impressions,prices\n"
         'U9,S16,1569888500,1,clickout item,1004954,AU,"X, Y",mobile,,"1004954|1004961","50|60"\n',
         "user_id=user_id,session_id=session_id,item_id=reference,timestamp=timestamp", [("U9", "1004954", AT)], ["view"]),
        ("relative_ms.csv", "sessionId,userId,itemId,timeframe,eventdate\n1,NA,1004975,1569888500000,2019-10-01\n",
         "session_id=sessionId,user_id=userId,item_id=itemId,timestamp=timeframe", [("1", "1004975", AT)], ["view"]),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 25 else "",
)  # fmt: skip
def test_a_table_is_read_with_its_columns_named(
    tmp_path: Path, name: str, text: str, columns: str, events: list[tuple[str, str, int]], types: list[str]
) -> None:
    report = Report()
    lines = lines_of(written(tmp_path, name, text), columns=columns, report=report)
    assert [shown(line) for line in lines] == events
    assert [line.event.event_type for line in lines] == types
    assert str(report) == f"read {len(events)} lines: {len(events)} events"


@pytest.mark.parametrize(
    "name", ["personalize.csv", "retailrocket_events.csv", "ml.inter"], ids=["personalize", "retailrocket", "recbole"]
)
def test_a_table_with_known_names_needs_no_option(tmp_path: Path, name: str) -> None:
    text = {
        "personalize.csv": "USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP\n541312257,1004954,AddToCart,1569888500\n",
        "retailrocket_events.csv": "timestamp,visitorid,event,itemid,transactionid\n1569888500000,541312257,addtocart,1004954,\n",
        "ml.inter": "user_id:token\titem_id:token\tevent_type:token\ttimestamp:float\n541312257\t1004954\tcart\t1569888500\n",
    }[name]
    (line,) = lines_of(written(tmp_path, name, text))
    assert (shown(line), line.event.event_type) == (THREE[0], "add_to_cart")


@pytest.mark.parametrize("columns", ["", "session_id=session,item_id=aid,timestamp=ts,event_type=type"])
@pytest.mark.parametrize("mapping", [{}, {"session_id": "session", "item_id": "aid", "timestamp": "ts"}])
def test_the_flat_events_of_otto(tmp_path: Path, columns: str, mapping: dict[str, str]) -> None:
    rows = zip(SESSIONS, ("carts", "clicks", "orders"), strict=True)
    text = "".join(json.dumps({"session": int(s), "aid": int(i), "ts": at, "type": kind}) + "\n" for (s, i, at), kind in rows)
    path = written(tmp_path, "otto_flat.jsonl", text)
    lines = lines_of(path, columns=columns, settings=Settings(field_mapping=mapping))
    assert [(*shown(line), line.event.event_type) for line in lines] == [
        (*event, kind) for event, kind in zip(SESSIONS, [*TYPES[:1], "click", *TYPES[2:]], strict=True)
    ]


def test_the_sessions_of_otto_are_read_whole_however_long_they_are(tmp_path: Path) -> None:
    first = '{"session": 1, "events": [{"aid": 1004975, "ts": 1569972890000, "type": "clicks"}, '
    first += '{"aid": 1004982, "ts": 1569973032000, "type": "clicks"}]}\n'
    longest = {"session": 2, "events": [{"aid": n, "ts": AT + n, "type": "carts"} for n in range(1, 496)]}
    report = Report()
    lines = lines_of(written(tmp_path, "otto.jsonl", first + json.dumps(longest) + "\n"), report=report)
    assert [shown(line) for line in lines[-2:]] == [("1", "1004975", 1_569_972_890_000), ("1", "1004982", 1_569_973_032_000)]
    assert str(report) == "read 2 lines: 497 events"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(PLAIN),
        json.dumps(PLAIN, indent=1) + "\n",
        "".join(json.dumps(one, indent=2) + "\n" for one in PLAIN),
        "".join(json.dumps(one) for one in PLAIN),
        "\n\n".join(json.dumps(one) for one in PLAIN),
        "\ufeff" + "\r\n".join(json.dumps(one) for one in PLAIN),
    ],
    ids=["array", "pretty array", "one after the other", "without a line end", "blank lines", "mark and CRLF"],
)
@pytest.mark.parametrize("name", ["events.json", "events.txt"])
def test_json_in_every_form(tmp_path: Path, name: str, text: str) -> None:
    report = Report()
    assert [shown(line) for line in lines_of(written(tmp_path, name, text), report=report)] == THREE
    assert str(report) == "read 3 lines: 3 events"


def test_a_text_in_json_may_have_the_line_separators_of_unicode(tmp_path: Path) -> None:
    event = json.dumps(PLAIN[0] | {"context": {"title": "a\u2028b\x85c"}}, ensure_ascii=False)
    report = Report()
    lines = lines_of(written(tmp_path, "e.jsonl", f"nonsense\n{event}\n{event}\n"), report=report)
    assert ([line.number for line in lines], report.left_out) == ([2, 3], {"invalid_json": 1})


def test_the_lines_after_a_quote_mark_in_a_file_with_tabs_are_read(tmp_path: Path) -> None:
    text = (
        "user_id\ttimestamp\ttitle\titem_id\n541312842\t2019-10-01T04:15:58Z\ttitle\t1004807\n"
        '541312842\t2019-10-01T04:18:38Z\t"12 inch single\t1004814\n541312842\t2019-10-01T04:20:29Z\ttitle\t1004877\n'
        '541312439\t2019-10-02T00:43:58Z\t"12 inch single\t1004926\n'
    )
    columns = "user_id=user_id,item_id=item_id,timestamp=timestamp"
    report = Report()
    lines = lines_of(written(tmp_path, "quote.tsv", text), columns=columns, report=report)
    assert [line.event.item_id for line in lines] == ["1004807", "1004814", "1004877", "1004926"]
    assert lines[1].at == 1_569_903_518_000
    assert str(report) == "read 4 lines: 4 events"


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000, 1_000_000_000])
def test_an_export_in_another_unit_is_joined_with_a_log_in_milliseconds(tmp_path: Path, factor: int) -> None:
    first = json.dumps({"user_id": "541312257", "item_id": "1004954", "timestamp": 1_569_888_500 * factor})
    other = json.dumps({"user_id": "541312257", "item_id": "1004884", "timestamp": 1_569_888_535_000})
    paths = written(tmp_path, "part_ms.jsonl", other + "\n"), written(tmp_path, "part_other.jsonl", first + "\n")
    assert [shown(line) for line in lines_of(*paths)] == THREE[:2]


STEPS = "session_id,item_id,timestamp\n00000009-0000-4000-8000-000000000010,1004954,0\n"
STEPS += "00000009-0000-4000-8000-000000000010,1004884,1\n"
RELATIVE = [
    ("step_index.csv", STEPS, "", "s", [0, 1000]),
    ("digi_comma.csv", "sessionId,userId,itemId,timeframe,eventdate\n1,NA,1004975,0,2019-10-01\n1,NA,1004982,142000,2019-10-01\n",
     "session_id=sessionId,item_id=itemId,timestamp=timeframe", "ms", [0, 142_000]),
    ("relative_s.csv", "user_id,item_id,timestamp\n541312257,1004954,0\n541312257,1004884,35\n", "", "s", [0, 35_000]),
    ("relative_s.jsonl", '{"user_id": "541312257", "item_id": "1004954", "timestamp": 0}\n'
     '{"user_id": "541312400", "item_id": "1004961", "timestamp": 449}\n', "", "s", [0, 449_000]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "columns", "unit", "times"), RELATIVE, ids=[case[0] for case in RELATIVE])
def test_relative_times_stop_a_file_until_their_unit_is_named(
    tmp_path: Path, name: str, text: str, columns: str, unit: str, times: list[int]
) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(FileError, match=rf"^{name}:[12]: the time is 0 s after 1970, so it may not be a time: .*--time-unit"):
        lines_of(path, columns=columns)
    assert [line.at for line in lines_of(path, columns=columns, time_unit=unit)] == times
