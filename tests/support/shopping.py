"""A client that shops by HTTP: it views items, clicks recommendations, and follows a stream."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import urllib.request
import uuid
from typing import Any

RANKS = (0, 2, 4, 8, 15)
"""Indices in a ranking that are clicked in turn: one per group of ranks in the metrics."""
EVERY_S = 0.2


class Shopper:
    """Shops in threads until `stop`.

    It retries after every failure, because Kafka may be unreachable.
    """

    def __init__(self, port: int, events_topic: str) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._unknown = f"{events_topic}-0-999999999"
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._shop, self._listen)]

    def start(self) -> None:
        """Start shopping."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop shopping."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(10.0)

    def _shop(self) -> None:
        for number in itertools.count():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._visit(f"shopper-{number % 8}", f"seen-{number % 5}", RANKS[number % len(RANKS)])
            if self._stopping.wait(EVERY_S):
                return

    def _visit(self, user: str, item: str, place: int) -> None:
        """View an item, report the recommended items as shown, click the one at index ``place``."""
        recommendation = self._send("?wait_ms=500", event(user, item, "view"))["recommendation"]
        if recommendation:
            shown, name = recommendation["items"][:20], recommendation["recommendation_id"]
            self._send("", *(event(user, one["item_id"], "impression", name) for one in shown))
            self._send("", event(user, shown[place % len(shown)]["item_id"], "click", name))
        self._send("", event(user, item, "view", self._unknown))
        for user_id in (user, "nobody-yet"):
            self._call(f"/v1/recommendations/{user_id}")

    def _send(self, parameters: str, *events: dict[str, str]) -> Any:
        return self._call(f"/v1/events{parameters}", json.dumps(events).encode())

    def _call(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(self._url + path, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def _listen(self) -> None:
        """Keep a stream of fresh rankings open."""
        while not self._stopping.is_set():
            try:
                with urllib.request.urlopen(f"{self._url}/v1/users/shopper-0/stream", timeout=2) as stream:
                    while not self._stopping.is_set():
                        stream.readline()
            except OSError:
                self._stopping.wait(EVERY_S)


def event(user: str, item: str, kind: str, recommendation: str | None = None) -> dict[str, str]:
    """An event as a JSON object, with a new event id."""
    named = {} if recommendation is None else {"recommendation_id": recommendation}
    return {"user_id": user, "item_id": item, "event_type": kind, "event_id": uuid.uuid4().hex} | named
