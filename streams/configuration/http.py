"""The settings of `ouzel serve`: its address, its keys, and its limits."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import field_validator
from pydantic_settings import BaseSettings

from streams.configuration.fields import LONGEST_S, SERVE, TOOLS, Change, Subject, none_if_empty, setting

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
HTTP, ROLLING = Subject.HTTP, Change.ROLLING


class HttpSettings(BaseSettings):
    """The part of `Settings` that concerns HTTP, the most used first."""

    serve_host: str = setting(
        "127.0.0.1", "Address that `ouzel serve` listens on. Any address but loopback requires API keys.",
        HTTP, SERVE, ROLLING, "host name or IP address",
    )  # fmt: skip
    serve_port: int = setting(8080, "Port that `ouzel serve` listens on.", HTTP, SERVE, ROLLING, ge=1, le=65535)
    serve_keys: Path | None = setting(
        None, "File with the hashes of the API keys, written by `ouzel keys create`. Without it no key is required.",
        HTTP, SERVE + TOOLS, ROLLING, "path of a file",
    )  # fmt: skip
    serve_cors_origins: list[str] = setting(
        [], "Origins whose pages may call the API from a browser. Any but those of this machine require API keys.",
        HTTP, SERVE, ROLLING, 'JSON list of origins, such as `["https://shop.example"]`; `["*"]` for all',
    )  # fmt: skip
    serve_worker_metrics: list[str] | None = setting(
        None, "Prometheus endpoints of the workers; the page shows their metrics. Default: `metrics_port` on this machine.",
        HTTP, SERVE, ROLLING, 'JSON list of `host:port`, such as `["worker-1:9464"]`',
    )  # fmt: skip
    serve_live: bool = setting(
        True, "Whether `ouzel serve` follows `events`, to show their rate and freshness.", HTTP, SERVE, ROLLING
    )
    serve_rankings: int = setting(
        100_000, "Maximum number of rankings in memory, 5 to 8 kB each. The least recently updated are evicted.",
        HTTP, SERVE, ROLLING, "rankings", ge=1,
    )  # fmt: skip
    serve_cache_bytes: int = setting(
        800_000_000, "Maximum memory of these rankings. A ranking takes more than usual if its ids are long.",
        HTTP, SERVE, ROLLING, ge=1_000_000,
    )  # fmt: skip
    serve_max_connections: int = setting(
        1000,
        "Maximum number of open connections. Further ones replace idle ones, or get status 503. Health checks and scrapes have "
        "16 more.",
        HTTP,
        SERVE,
        ROLLING,
        "connections",
        ge=1,
    )
    serve_max_streams: int = setting(
        500, "Maximum number of open streams of server-sent events. Further ones get status 503.",
        HTTP, SERVE, ROLLING, "streams", ge=1,
    )  # fmt: skip
    serve_max_body_bytes: int = setting(
        1_000_000, "Maximum length of a request body. A longer one gets status 413.",
        HTTP, SERVE, ROLLING, ge=1000, le=50_000_000,
    )  # fmt: skip
    serve_max_head_bytes: int = setting(
        16_384, "Maximum length of a request's head, chunk lines and trailers together. A longer one gets status 431.",
        HTTP, SERVE, ROLLING, ge=4096, le=1_000_000,
    )  # fmt: skip
    serve_client_timeout_s: float = setting(
        10.0,
        "How long a client may take to send a request, from its first byte to its last, and to read an answer.",
        HTTP,
        SERVE,
        ROLLING,
        gt=0,
        le=LONGEST_S,
    )
    serve_heartbeat_s: float = setting(
        15.0, "A stream sends a heartbeat after this time without data.", HTTP, SERVE, ROLLING, gt=0, le=LONGEST_S
    )
    serve_stream_s: float = setting(
        3600.0, "A stream ends after this time; its client reconnects.", HTTP, SERVE, ROLLING, gt=0, le=LONGEST_S
    )

    @field_validator("serve_cors_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        """Reject what no browser sends as an origin: it would allow nothing, without notice."""
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin[:100]!r} is no origin: write it as a browser sends it, such as https://shop.example")
        return value

    _optional_file = field_validator("serve_keys", mode="before")(none_if_empty)
