"""`ouzel serve` over TCP: what it rejects and how, its pages, its metrics."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from support.oracle import read_topic
from support.processes.running import produce, wait_until
from support.processes.serve_process import ServeProcess

EVENT = {"user_id": "ann", "item_id": "a"}
LONG = "x" * 10_000
JSON, TEXT = {"content-type": "application/json"}, {"content-type": "text/plain"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "kind"),
    [
        ("POST", "/v1/events", b"x" * 200_001, {}, 413, "too-large"),
        ("POST", "/v1/events", b'{"user_id": "ann", "item', {}, 400, "malformed"),
        ("POST", "/v1/events", b"", {}, 400, "malformed"),
        ("POST", "/v1/events", b'{"user_id": "ann", "item_id": "a", "price": NaN}', {}, 400, "malformed"),
        ("POST", "/v1/events", b"[" * 100_000 + b"]" * 99_999, {}, 400, "malformed"),
        ("POST", "/v1/events", b'{"user_id":"u","context":' + b"[" * 90_000 + b"]" * 90_000 + b"}", {}, 400, "malformed"),
        ("POST", "/v1/events", b'{"a":' * 100_000, {}, 413, "too-large"),
        ("POST", "/v1/events", b'{"user_id": "ann", "item_id": "\xff"}', {}, 400, "malformed"),
        ("POST", "/v1/events", b"null", {}, 422, "invalid-record"),
        ("POST", "/v1/events", b"{}", {}, 422, "invalid-record"),
        ("POST", "/v1/events", [], {}, 400, "malformed"),
        ("POST", "/v1/events", [EVENT] * 501, {}, 413, "too-large"),
        ("POST", "/v1/events", [{}] * 500, {}, 422, "invalid-record"),
        ("POST", "/v1/events", EVENT | {"user_id": LONG}, {}, 422, "invalid-record"),
        ("POST", "/v1/events", EVENT | {"user_id": "a\x00b"}, {}, 422, "invalid-record"),
        ("POST", "/v1/events", EVENT | {"user_id": "__popular__"}, {}, 422, "invalid-record"),
        ("POST", "/v1/events", EVENT, TEXT, 415, "unsupported-media-type"),
        ("POST", "/v1/events", EVENT, JSON | {"content-encoding": "gzip"}, 415, "unsupported-media-type"),
        ("POST", "/v1/events", EVENT, JSON | {"accept": "text/html"}, 406, "not-acceptable"),
        ("POST", "/v1/events?wait_ms=1001", EVENT, {}, 422, "invalid-parameter"),
        ("POST", "/v1/events?wait_ms=-1", EVENT, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/ann?k=0", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/ann?k=-1", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/ann?k=1000000000", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/ann?k=x", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/ann?unknown=1", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/ann?category=" + "&category=".join("ab"), None, {}, 422, "invalid-parameter"),
        ("GET", f"/v1/recommendations/{LONG}", None, {}, 414, "uri-too-long"),
        ("GET", f"/v1/recommendations/{'x' * 257}", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/a%00b", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/a%0d%0ab", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/%ff", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/__popular__", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/recommendations/", None, {}, 404, "not-found"),
        ("GET", "/v1/recommendations/a/b", None, {}, 404, "not-found"),
        ("GET", f"/v1/items?id={'x' * 8300}&id=y", None, {}, 414, "uri-too-long"),
        ("GET", "/v2/recommendations/ann", None, {}, 404, "not-found"),
        ("GET", "/v1/users/nobody", None, {}, 404, "not-found"),
        ("GET", "/v1/items/nothing", None, {}, 404, "not-found"),
        ("GET", "/v1/items/nothing/similar", None, {}, 404, "not-found"),
        ("GET", "/v1/popular?half_life=7", None, {}, 422, "invalid-parameter"),
        ("GET", "/v1/live/stream", None, {"accept": "application/json"}, 406, "not-acceptable"),
        ("PUT", "/v1/items/a", {"item_id": "b"}, {}, 422, "invalid-record"),
        ("PUT", "/v1/items/a", b"[]", {}, 422, "invalid-record"),
        ("PUT", "/v1/items/a", {"price": "cheap"}, {}, 422, "invalid-record"),
        ("PUT", "/v1/items/a", {"ItemId": "b"}, {}, 422, "invalid-record"),
        ("PUT", "/v1/items/a", {"IsHidden": "maybe"}, {}, 422, "invalid-record"),
        ("PATCH", "/v1/items/a", {}, {}, 405, "method-not-allowed"),
        ("GET", "/v1/events", None, {}, 405, "method-not-allowed"),
        ("POST", "/page/app.js", b"", {}, 405, "method-not-allowed"),
        ("GET", "/page/../cli.py", None, {}, 404, "not-found"),
        ("GET", "/page/..%2fcli.py", None, {}, 404, "not-found"),
        ("GET", "/page/%2e%2e/cli.py", None, {}, 404, "not-found"),
        ("GET", "/page//etc/passwd", None, {}, 404, "not-found"),
        ("GET", "/page/%00", None, {}, 404, "not-found"),
        ("GET", "/page/....//....//cli.py", None, {}, 404, "not-found"),
        ("GET", "/page/", None, {}, 404, "not-found"),
        ("GET", "/v1/popular", None, {"host": "evil.example"}, 403, "foreign-host"),
        ("GET", "/v1/popular", None, {"host": "127.0.0.1.evil.example:80"}, 403, "foreign-host"),
    ],
)  # fmt: skip
def test_bad_input_gets_its_status_and_its_reason(
    served: ServeProcess, method: str, path: str, body: object, headers: dict[str, str], status: int, kind: str
) -> None:
    answer = served.call(method, path, body, headers)
    assert (answer.status, answer.body["type"]) == (status, f"/reference#{kind}"), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == status
    assert answer.body["title"]
    if status == 405:
        assert answer.headers["allow"] or path.startswith("/page")
    if status == 422:
        assert "field" in answer.body or answer.body["errors"]


def test_events_are_accepted_in_each_form_and_bad_ones_are_reported(served: ServeProcess) -> None:
    one = served.call("POST", "/v1/events", EVENT)
    assert (one.status, one.body["accepted"], one.body["errors"]) == (202, 1, [])
    assert one.body["events"][0]["event_id"].startswith(served.settings.topic("events"))
    lines = "\n".join(map(json.dumps, [EVENT, {"user_id": "x"}, EVENT]))
    some = served.call("POST", "/v1/events", lines, {"content-type": "application/x-ndjson; charset=utf-8"})
    assert (some.status, some.body["accepted"], some.body["refused"]) == (207, 2, 1)
    assert some.body["errors"] == [{"position": 1, "reason": "missing_field", "field": "item_id", "detail": "item_id"}]
    assert [event["position"] for event in some.body["events"]] == [0, 2]
    most = served.call("POST", "/v1/events", [EVENT] * 500)
    assert (most.status, most.body["accepted"]) == (202, 500)
    offsets = [event["offset"] for event in most.body["events"]]
    assert offsets == sorted(offsets)


def test_items_are_read_as_they_were_written(served: ServeProcess) -> None:
    boots = {"item_name": "Boots", "categories": ["Shoes"], "price": 9.5}
    put = served.call("PUT", "/v1/items/b%2F1", boots)
    assert (put.status, put.body["item_id"], put.body["item_name"]) == (200, "b/1", "Boots")
    assert served.call("GET", "/v1/items/b%2F1").body == put.body
    bulk = served.call("POST", "/v1/items", [{"item_id": "s1", "categories": ["Shoes"]}, {"item_id": ""}, {"item_id": 7}])
    assert (bulk.status, bulk.body["accepted"], bulk.body["errors"][0]["position"]) == (207, 2, 1)
    listed = served.call("GET", "/v1/items?category=Shoes").body
    assert {item["item_id"] for item in listed["items"]} == {"b/1", "s1"}
    assert {"name": "Shoes", "items": 2} in listed["categories"]
    assert served.call("PUT", "/v1/items/s1", {"categories": ["Shoes"], "is_hidden": True}).status == 200
    assert served.call("GET", "/v1/items?category=Shoes").body["total"] == 1
    assert served.call("GET", "/v1/items?id=s1&id=none&id=7").body["total"] == 2
    cold = served.call("GET", "/v1/recommendations/stranger?category=Shoes").body
    assert [(item["item_id"], item["reason"]) for item in cold["items"]] == [("b/1", "catalogue")]
    assert (cold["strategy"], cold["fallback"]) == ("popularity", ["catalogue"])
    assert served.call("DELETE", "/v1/items/b%2F1").status == 204
    assert served.call("GET", "/v1/items/b%2F1").status == 404


def test_items_of_other_systems_are_written_under_ouzels_names_and_a_wrong_field_is_named(served: ServeProcess) -> None:
    product = {"id": "g1", "title": "Shoe", "priceInfo": {"price": "18.99"}, "availability": "OUT_OF_STOCK"}
    put = served.call("PUT", "/v1/items/g1", product)
    assert (put.status, put.body["item_name"], put.body["price"], put.body["available"]) == (200, "Shoe", 18.99, False)
    assert served.call("GET", "/v1/items?id=g1").body["items"] == [put.body]
    wrong = served.call(
        "POST", "/v1/items", [{"id": "g2", "IsHidden": "true"}, {"id": "g3", "title": "Boot", "IsHidden": "maybe"}]
    )
    assert (wrong.status, wrong.body["accepted"]) == (207, 1)
    assert wrong.body["errors"] == [
        {"position": 1, "reason": "wrong_type", "field": "is_hidden", "detail": "is_hidden is 'maybe': write true or false"}
    ]
    assert served.call("GET", "/v1/items/g3").status == 404
    assert served.call("GET", "/v1/items/g2").body["is_hidden"]


def test_items_are_replaced_and_removed_under_the_keys_that_their_producer_used(served: ServeProcess) -> None:
    made = [(b'"k1"', b'{"item_id": "k1", "is_hidden": 1, "price": "cheap"}'), (b"\0\0\0\x0a", b'{"item_name": "Ten"}')]
    produce(served.settings, [*made, (b"k2", b"{"), (b"row-9", b'{"item_id": "k3"}')], "items")
    ids = ["k1", "10", "k3"]
    wait_until(lambda: [served.call("GET", f"/v1/items/{one}").status for one in ids] == [200] * 3, "the items")
    counted = served.metrics()
    assert counted["ouzel_serve_refused_records_total|topic=items"] == 1
    assert [counted[f"ouzel_serve_dropped_item_fields_total|field={name}"] for name in ("price", "key")] == [1, 1]
    assert served.call("PUT", "/v1/items/k1", {"item_name": "One"}).status == 200
    for one in ids[1:]:
        assert served.call("DELETE", f"/v1/items/{one}").status == 204
        assert served.call("GET", f"/v1/items/{one}").status == 404
    last = {record.key: record.value for record in read_topic(served.settings, "items")}
    assert json.loads(last[b'"k1"'] or b"")["item_name"] == "One"
    assert (last[b"\0\0\0\x0a"], last[b"row-9"]) == (None, None)
    assert not last.keys() & {b"k1", b"10", b"k3"}


def test_a_head_request_is_a_get_without_its_body(served: ServeProcess) -> None:
    got, head = served.call("GET", "/v1/recommendations/x"), served.call("HEAD", "/health/live")
    assert got.headers["content-length"] == str(len(json.dumps(got.body, separators=(",", ":"))))
    assert (head.status, head.body) == (200, b"") or head.body == ""


def test_the_pages_are_strict(served: ServeProcess) -> None:
    reference = served.call("GET", "/reference")
    text = reference.body.decode()
    assert reference.status == 200
    policy = reference.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http:" not in text.replace("http://127.0.0.1", "")
    assert not re.search(r"<script|<style|style=|onclick|//cdn", text)
    for name in ("GET /v1/recommendations/{user_id}", "RankingAnswer", 'id="kafka-away"'):
        assert name in text
    assert served.call("GET", "/page/reference.css").headers["content-type"].startswith("text/css")
    assert served.call("GET", "/").status in (200, 307)
    assert served.call("GET", "/openapi.json").body["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    "path", ["/", "/reference", "/openapi.json", "/page/reference.css", "/v1/popular", "/v1/nothing", "/health/live", "/metrics"]
)
def test_no_answer_can_be_embedded_or_read_as_another_type(served: ServeProcess, path: str) -> None:
    headers = served.call("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_promtool_accepts_the_metrics(served: ServeProcess, promtool: Path) -> None:
    served.call("GET", "/v1/recommendations/x")
    metrics = served.call("GET", "/metrics").body
    checked = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
    assert b"_created" not in metrics


def test_no_id_is_in_a_metric_or_a_log(served: ServeProcess) -> None:
    secret = "someone-7f3a"
    served.call("GET", f"/v1/recommendations/{secret}")
    served.call("POST", "/v1/events", {"user_id": secret, "item_id": ["a"], "price": "x"})
    served.call("PATCH", f"/v1/users/{secret}")
    served.call("GET", f"/nowhere/{secret}")
    assert secret.encode() not in served.call("GET", "/metrics").body
    assert secret not in served.log.read_text()


def test_health_shows_every_topic(served: ServeProcess) -> None:
    ready = served.call("GET", "/health/ready")
    assert (ready.status, ready.body["status"]) == (200, "ready")
    assert set(ready.body["topics"]) == {"recommendations", "items", "transitions", "events"}
    assert served.call("GET", "/health/live", headers={"host": "localhost"}).status == 200
