"""Is it alive, may it be asked, and how is it: for orchestrators and Prometheus."""

from __future__ import annotations

import msgspec
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from serving.http.documents import Document
from serving.http.operations import Call, Operation


class Health(msgspec.Struct):
    """``topics`` tells for each whether it was read to its end, and how many records are left."""

    status: str
    topics: dict[str, Followed]


class Followed(msgspec.Struct):
    """How far a topic was read."""

    caught_up: bool
    lag: int


async def live(call: Call) -> Response:
    return _health(call, 200, "alive")


async def ready(call: Call) -> Response:
    is_ready = call.service.ready
    return _health(call, 200 if is_ready else 503, "ready" if is_ready else "catching up")


async def metrics(call: Call) -> Response:
    return Response(generate_latest(call.service.telemetry.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _health(call: Call, status: int, word: str) -> Response:
    topics = {name: Followed(one.caught_up.is_set(), one.lag) for name, one in call.service.followers.items()}
    return Document(msgspec.json.encode(Health(word, topics)), status)


OPERATIONS = [
    Operation(
        "GET", "/health/live", live, "Whether the process runs", "Health", scope=None, needs_topics=False, answers={200: Health}
    ),
    Operation(
        "GET", "/health/ready", ready, "Whether this copy has caught up with its topics", "Health", scope=None,
        needs_topics=False, answers={200: Health, 503: Health},
    ),
    Operation(
        "GET", "/metrics", metrics, "Prometheus metrics", "Health", scope=None, needs_topics=False, answers={200: str},
        media="text/plain",
    ),
]  # fmt: skip
