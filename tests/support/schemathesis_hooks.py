"""For schemathesis: what JSON Schema cannot say of an event, left out of what is sent.

JSON Schema takes 1.0 for an integer, and it knows no now: a timestamp more than five minutes ahead is refused.
"""

from __future__ import annotations

import time
from typing import Any

import schemathesis

from streams.events.bounds import BadRecord
from streams.events.event_time import event_time

IDS = ("item_id", "user_id", "session_id", "event_id", "recommendation_id")


def _sayable(record: Any) -> bool:
    if not isinstance(record, dict):
        return True
    if any(isinstance(record.get(name), float) for name in IDS):
        return False
    try:
        return event_time(record.get("timestamp"), 0) <= time.time() * 1000
    except BadRecord:
        return True


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Whether a body is sent."""
    return all(map(_sayable, body if isinstance(body, list) else [body]))
