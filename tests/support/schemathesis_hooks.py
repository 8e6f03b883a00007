"""Hooks for schemathesis: they leave out bodies whose errors JSON Schema cannot express.

To JSON Schema, 1.0 is an integer, and no time is in the future. Ouzel rejects an id of 1.0, and a
timestamp more than five minutes ahead. JSON Schema counts the characters of a text; Ouzel counts
the bytes of ids, categories, brands and names of labels.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote

import schemathesis

from streams.events.bounds import MAX_ID_BYTES, BadRecord
from streams.events.event_time import event_time

IDS = ("item_id", "user_id", "session_id", "event_id", "recommendation_id")


def _expressible(record: Any) -> bool:
    if not isinstance(record, dict):
        return True
    if any(isinstance(record.get(name), float) for name in IDS):
        return False
    if not _all_short([record.get(name) for name in (*IDS, "categories", "brand", "labels")]):
        return False
    try:
        return event_time(record.get("timestamp"), 0) <= time.time() * 1000
    except BadRecord:
        return True


def _all_short(values: Any) -> bool:
    """Tell whether no text that may be an id has few characters and many bytes."""
    if isinstance(values, str):
        return len(values) > MAX_ID_BYTES or len(values.encode(errors="replace")) <= MAX_ID_BYTES
    if isinstance(values, dict):
        return all(map(_all_short, values))
    return not isinstance(values, list) or all(map(_all_short, values))


@schemathesis.hook
def filter_path_parameters(context: Any, path_parameters: Any) -> bool:
    """Tell whether a path is sent."""
    return _all_short([unquote(value) for value in (path_parameters or {}).values() if isinstance(value, str)])


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Tell whether a query is sent."""
    return _all_short([*query.values()]) if isinstance(query, dict) else True


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Tell whether a body is sent."""
    return all(map(_expressible, body if isinstance(body, list) else [body]))
