"""A server of the page without Kafka and workers. A test decides how it answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PAGE = Path(str(resources.files("serving"))) / "page"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8"}
ITEMS = [
    {
        "item_id": f"i{n}",
        "item_name": f"{adjective} {noun}",
        "categories": [noun],
        "brand": None,
        "price": 9.5 + n,
        "currency": "EUR",
    }
    for n, (adjective, noun) in enumerate((a, b) for b in ("Mug", "Kettle", "Teapot") for a in ("Blue", "Red", "Small", "Old"))
]


class FakeShop:
    """The state of the fake: what it answers, and what it was sent."""

    def __init__(self) -> None:
        self.reachable = True
        """Whether events are taken; otherwise the answer is 503."""
        self.working = True
        """Whether a worker ranks what was taken."""
        self.ranks_after_s = 0.0
        self.down: bool | None = False
        self.freshness_ms = 12.0
        self.events: list[dict[str, Any]] = []
        self.items: list[dict[str, Any]] = ITEMS
        self.categories = [{"name": "Mug", "items": 4}]
        self.attempts = 0

    def live(self) -> dict[str, Any]:
        ready = int(self.down is False)
        accuracy = [{"method": "model", "recall": 0.6, "mrr": 0.3}, {"method": "popularity", "recall": 0.1, "mrr": 0.05}]
        return {
            "at": int(time.time() * 1000), "events_per_second": 20.0, "lag": 0, "learner_lag": 0, "dead_letters": 0, "loss": 2.0,
            "freshness_ms": {"p50": 8, "p90": 10, "p99": self.freshness_ms, "samples": 100}, "tests": 100, "accuracy": accuracy,
            "workers": {"asked": 1, "answered": ready, "ready": ready}, "workers_down": self.down, "users": 3,
            "items": len(self.items), "kafka_available": True, "newest_ranking_age_ms": 30,
        }  # fmt: skip

    def ranking(self) -> dict[str, Any]:
        """The ranking after the events so far; the popular one if there are none."""
        prefix = [event["item_id"] for event in self.events][-10:]
        ids = [item["item_id"] for item in self.items if item["item_id"] not in prefix]
        because = {"reason": "markov", "because_item_id": prefix[-1]} if prefix else {"reason": "popularity"}
        items = [{"item_id": item, "score": 1.0, "rank": n + 1, **because} for n, item in enumerate(ids)]
        return {
            "recommendation_id": f"r-{len(self.events)}", "generated_at": int(time.time() * 1000), "model_version": 7,
            "trigger_event_id": self.events[-1]["event_id"] if self.events else "", "prefix": prefix,
            "strategy": "hybrid" if prefix else "popularity", "items": items,
        }  # fmt: skip

    def take(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer an event."""
        self.attempts += 1
        if not self.reachable:
            return 503, {"title": "not now"}
        time.sleep(self.ranks_after_s)
        if event["event_id"] not in [one["event_id"] for one in self.events]:
            self.events.append(event)
        if not self.working:
            return 202, {"recommendation": None}
        return 200, {"recommendation": self.ranking()}


def handler(shop: FakeShop, ended: threading.Event) -> type[BaseHTTPRequestHandler]:
    """The handler of requests to a fake."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/" or path.startswith("/page/"):
                file = PAGE / (path.removeprefix("/page/").strip("/") or "index.html")
                self._send(200, file.read_bytes(), TYPES[file.suffix])
            elif path.endswith("/stream"):
                self._stream()
            elif path == "/v1/live":
                self._json(200, shop.live())
            elif path == "/v1/items":
                self._json(200, {"items": shop.items, "total": len(shop.items), "categories": shop.categories})
            else:
                self._json(200, shop.ranking())

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._json(*shop.take(event))

        def _stream(self) -> None:
            """Send the newest ranking whenever a worker has ranked."""
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            sent = len(shop.events)
            while not ended.wait(0.05):
                if shop.working and len(shop.events) > sent and "/users/" in self.path:
                    sent = len(shop.events)
                    self.wfile.write(f"event: ranking\ndata: {json.dumps(shop.ranking())}\n\n".encode())
                    self.wfile.flush()

        def _json(self, status: int, document: Any) -> None:
            self._send(status, json.dumps(document).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    return Handler


@contextmanager
def fake_shop() -> Iterator[tuple[FakeShop, str]]:
    """Serve the page until the context ends. Yields the fake and its address."""
    shop, ended = FakeShop(), threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(shop, ended))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield shop, f"http://127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
