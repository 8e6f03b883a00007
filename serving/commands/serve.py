"""`ouzel serve`: the HTTP API and the page."""

from __future__ import annotations

import socket

import typer

from serving.commands import CliError
from serving.http.loopback import is_loopback
from serving.state.keys import Keys, KeysError
from serving.state.telemetry import ServingTelemetry
from streams.kafka.topics import describe_topics
from streams.rules import event_decoder
from streams.settings import Settings, load_settings

NEEDED = ("events", "items", "recommendations", "transitions", "model")


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve() -> None:
    """Answer HTTP until SIGTERM or Ctrl-C. Runs beside the workers, as many copies as you like."""
    settings = load_settings()
    telemetry = ServingTelemetry(settings.domain)
    try:
        keys = Keys(settings.serve_keys)
    except KeysError as error:
        raise CliError(f"serve_keys: {error}") from error
    decoder = event_decoder(settings)
    if not keys.required and not is_loopback(settings.serve_host):
        raise CliError(
            f"serve_host: {settings.serve_host} is not loopback, and there are no keys: make one with `ouzel keys create`, and "
            "name its file in OUZEL_SERVE_KEYS"
        )
    _require_topics(settings)
    from serving.server import run_server  # noqa: PLC0415  numba takes seconds to import
    from streams.observing.logs import set_up  # noqa: PLC0415

    listener = bind(settings.serve_host, settings.serve_port)
    set_up(settings)
    shown = f"[{settings.serve_host}]" if ":" in settings.serve_host else settings.serve_host
    typer.echo(f"http://{shown}:{settings.serve_port}", err=True)
    if not keys.required:
        typer.echo("no keys are set: answers on loopback only, and lets everybody there do everything", err=True)
    raise typer.Exit(run_server(settings, keys, decoder, telemetry, listener))


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `CliError`."""
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise CliError(f"cannot listen on {host}:{port}: {error.strerror or error}", 1) from error
    return listener


def _require_topics(settings: Settings) -> None:
    """Whatever is followed must be there, with the partitions that the settings say: deletions go to each."""
    states = describe_topics(settings)
    for name in NEEDED:
        topic = settings.topic(name)
        state = states[topic]
        if state is None:
            raise CliError(f"{topic}: missing; `ouzel topics create` makes it")
        if name == "events" and state.partitions != settings.partitions:
            raise CliError(f"{topic}: {state.partitions} partitions, the settings say {settings.partitions}")
