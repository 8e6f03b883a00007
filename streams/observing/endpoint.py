"""The endpoint from which Prometheus scrapes a process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, start_http_server

from streams.settings import SettingsError


def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> None:
    """Answer scrapes on ``http://host:port/metrics``, in a thread of its own.

    Raises `SettingsError` if the address cannot be used.
    """
    try:
        start_http_server(port, addr=host, registry=registry)
    except (OSError, UnicodeError) as error:  # a host name may be too long to look up
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"OUZEL_METRICS_PORT: cannot listen on {host}:{port}: {reason}. Set OUZEL_METRICS_PORT to a free port, or to 0 "
            "for no metrics, and OUZEL_METRICS_HOST to an address of this machine"
        ) from error
