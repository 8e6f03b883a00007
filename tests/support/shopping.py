"""Somebody who shops by HTTP: looks at what is recommended, clicks on it, says so, and listens for more."""

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
"""Places of a ranking that are clicked in turn: one of each that is told apart."""
EVERY_S = 0.2


class Shopper:
    """Acts in threads until told to stop. Whatever goes wrong is tried again: Kafka may be away."""

    def __init__(self, port: int, events_topic: str) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._forgotten = f"{events_topic}-0-999999999"
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._shop, self._listen)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
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
        """An item is viewed, what is recommended then is shown, and the item at a place of it is clicked."""
        found = self._send("?wait_ms=500", event(user, item, "view"))["recommendation"]
        if found:
            shown, name = found["items"][:20], found["recommendation_id"]
            self._send("", *(event(user, one["item_id"], "impression", name) for one in shown))
            self._send("", event(user, shown[place % len(shown)]["item_id"], "click", name))
        self._send("", event(user, item, "view", self._forgotten))
        for asked in (user, "nobody-yet"):
            self._call(f"/v1/recommendations/{asked}")

    def _send(self, parameters: str, *events: dict[str, str]) -> Any:
        return self._call(f"/v1/events{parameters}", json.dumps(events).encode())

    def _call(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(self._url + path, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def _listen(self) -> None:
        """Hold a stream of fresh rankings open."""
        while not self._stopping.is_set():
            try:
                with urllib.request.urlopen(f"{self._url}/v1/users/shopper-0/stream", timeout=2) as stream:
                    while not self._stopping.is_set():
                        stream.readline()
            except OSError:
                self._stopping.wait(EVERY_S)


def event(user: str, item: str, kind: str, recommendation: str | None = None) -> dict[str, str]:
    """An event as JSON has it."""
    named = {} if recommendation is None else {"recommendation_id": recommendation}
    return {"user_id": user, "item_id": item, "event_type": kind, "event_id": uuid.uuid4().hex} | named
