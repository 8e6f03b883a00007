"""`ouzel serve`: serves the HTTP API and the page."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import typer

from serving.http.loopback import is_loopback
from serving.key_file import KeysError
from serving.options import Broker, settings_with
from serving.state.keys import Keys
from serving.state.telemetry import ServingTelemetry
from serving.terminal import say
from streams.errors import Refused
from streams.http.listener import listen
from streams.kafka.permissions import read_only
from streams.kafka.topic_checks import topic_problems
from streams.kafka.topics import MissingTopics, as_described, describe_topics
from streams.rules import event_decoder
from streams.settings import Settings

NEEDED = ("events", "items", "recommendations", "transitions", "model")


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(broker: Broker = None) -> None:
    """Serve the HTTP API and the page until SIGTERM or Ctrl-C.

    Run as many copies as you like, beside the workers.
    OUZEL_SERVE_HOST and OUZEL_SERVE_PORT set the address.
    """
    settings = settings_with(broker)
    telemetry = ServingTelemetry(settings.domain)
    try:
        keys = Keys(settings.serve_keys)
    except KeysError as error:
        raise Refused(f"OUZEL_SERVE_KEYS: {error}; `ouzel keys create` writes the file") from error
    decoder = event_decoder(settings)
    if not keys.required and not is_loopback(settings.serve_host):
        raise Refused(
            f"OUZEL_SERVE_HOST: {settings.serve_host} is not a loopback address, and there are no API keys: create one with "
            "`ouzel keys create`, and name its file in OUZEL_SERVE_KEYS"
        )
    if not keys.required and (foreign := [origin for origin in settings.serve_cors_origins if not _is_local(origin)]):
        raise Refused(
            f"OUZEL_SERVE_CORS_ORIGINS: without API keys, the pages of {foreign[0]} could read and write everything from a "
            "browser on this machine: create a key with `ouzel keys create`, and name its file in OUZEL_SERVE_KEYS, or allow "
            "only origins such as http://localhost:3000"
        )
    settings = _with_topics(settings)
    from serving.server import run_server  # noqa: PLC0415  numba takes seconds to import
    from streams.observing.logs import set_up  # noqa: PLC0415

    listener = _listen(settings)
    set_up(settings)
    shown = f"[{settings.serve_host}]" if ":" in settings.serve_host else settings.serve_host
    say(f"http://{shown}:{settings.serve_port}", err=True)
    if not keys.required:
        say("no keys are set: programs on this machine may use the whole API, and other machines cannot connect", err=True)
    raise typer.Exit(run_server(settings, keys, decoder, telemetry, listener))


def _is_local(origin: str) -> bool:
    """Tell whether the pages of an origin come from this machine."""
    return is_loopback(urlsplit(origin).hostname or "")


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.serve_host, settings.serve_port
    try:
        return listen(host, port)
    except OSError as error:
        raise Refused(
            f"OUZEL_SERVE_PORT: cannot listen on {host}:{port}: {error.strerror}; set OUZEL_SERVE_HOST and OUZEL_SERVE_PORT to "
            "another address"
        ) from error


def _with_topics(settings: Settings) -> Settings:
    """Return the settings with the number of partitions of the user's own events topic, if any.

    Raises `Refused` if a topic is missing, or if events has another number of partitions. The
    number matters because a deletion is written to every partition of events.
    """
    states = describe_topics(settings)
    settings = as_described(settings, states)
    for name in NEEDED:
        if states[settings.topic(name)] is None:
            raise MissingTopics(settings.topic(name))
    events = f"{settings.topic('events')}: the topic has "
    if problems := [problem for problem in topic_problems(settings, states) if problem.startswith(events)]:
        raise Refused(problems[0])
    for line in read_only(settings, states):
        say(line, err=True)
    return settings
