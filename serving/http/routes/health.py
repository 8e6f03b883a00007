"""Liveness, readiness and metrics: for orchestrators and Prometheus."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from serving.http.documents import Document
from serving.http.operations import Call, Operation


class Health(msgspec.Struct):
    """The state of the server."""

    status: Annotated[str, Meta(description="`alive`, `ready`, `catching up` or `no keys`.")]
    topics: Annotated[dict[str, Followed], Meta(description="How far this server has read each topic.")]


class Followed(msgspec.Struct):
    """How far this server has read a topic."""

    caught_up: Annotated[bool, Meta(description="Whether the topic was read to the end that it had when the server started.")]
    lag: Annotated[int, Meta(description="Records that are not read yet.")]


async def live(call: Call) -> Response:
    return _health(call, 200, "alive")


async def ready(call: Call) -> Response:
    if call.service.keys.refused is not None:
        return _health(call, 503, "no keys")
    is_ready = call.service.ready
    return _health(call, 200 if is_ready else 503, "ready" if is_ready else "catching up")


async def metrics(call: Call) -> Response:
    return Response(generate_latest(call.service.telemetry.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _health(call: Call, status: int, word: str) -> Response:
    topics = {name: Followed(each.caught_up.is_set(), each.lag) for name, each in call.service.followers.items()}
    return Document(msgspec.json.encode(Health(word, topics)), status)


OPERATIONS = [
    Operation(
        "GET", "/health/live", live, "Whether the process runs", "Health", scope=None, needs_topics=False, answers={200: Health}
    ),
    Operation(
        "GET", "/health/ready", ready, "Whether the server has caught up with its topics", "Health",
        "Until it has, this operation and those under `/v1` answer with 503. So they do with the status `no keys`, while the "
        "server cannot use its file of API keys.", scope=None,
        needs_topics=False, answers={200: Health, 503: Health},
    ),
    Operation(
        "GET", "/metrics", metrics, "Prometheus metrics", "Health", scope=None, needs_topics=False, answers={200: str},
        media="text/plain",
    ),
]  # fmt: skip
