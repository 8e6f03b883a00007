"""`ouzel warmup`: compiles the model's kernels ahead of time, for example in an image build."""

from __future__ import annotations

import time

import typer

from serving.terminal import say
from streams.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command("warmup")(warmup)


def warmup() -> None:
    """Compile the model's kernels into numba's cache. This saves 12 s at each start of a worker.

    The cache is in the folder NUMBA_CACHE_DIR, or else beside the code.
    It is valid for one kind of processor: on another kind, a worker compiles again when it starts.
    """
    from numba.core import event  # noqa: PLC0415  takes a second to import

    from streams.learning.model import new_model  # noqa: PLC0415

    settings, compiled = load_settings(), list[object]()

    class Listener(event.Listener):
        def on_start(self, event: object) -> None:
            compiled.append(event)

        def on_end(self, event: object) -> None:
            pass

    began = time.monotonic()
    with event.install_listener("numba:compile", Listener()):
        new_model(settings).warmup()
    result = f"compiled {len(compiled)} kernels" if compiled else "nothing to compile"
    say(f"{settings.model}: {result}, {time.monotonic() - began:.1f} s")
