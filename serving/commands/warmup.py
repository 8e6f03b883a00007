"""`ouzel warmup`: compile the model's kernels ahead, as when an image is built."""

from __future__ import annotations

import time
from typing import Any

import typer

from streams.settings import load_settings


def register(app: typer.Typer) -> None:
    app.command("warmup")(warmup)


def warmup() -> None:
    """Compile the kernels of the model in force into numba's cache, so that workers start fast.

    The cache is where NUMBA_CACHE_DIR says, or beside the code. It is good for the processor it was made on; another one
    compiles again, when the worker starts.
    """
    from numba.core import event  # noqa: PLC0415  takes a second to import

    from streams.learning.model import new_model  # noqa: PLC0415

    settings, compiled = load_settings(), list[Any]()

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            compiled.append(event)

        def on_end(self, event: Any) -> None:
            pass

    began = time.monotonic()
    with event.install_listener("numba:compile", Listener()):
        new_model(settings).warmup()
    told = f"compiled {len(compiled)} kernels" if compiled else "nothing to compile"
    typer.echo(f"{settings.model}: {told}, {time.monotonic() - began:.1f} s")
