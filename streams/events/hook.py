"""A user's decoder: a function that turns the bytes of a record into events."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from streams.events.bounds import BadRecord

Hook = Callable[..., Any]
"""A user's decoder ``decode(value, headers)``.

It gets a record's value and headers, and as keyword arguments those fields of `Context` that it has
parameters for. It returns the fields of an event, a list of such mappings, or ``None`` for a record
that is not an event.
"""


class Context(NamedTuple):
    """What else is known of a record. ``timestamp`` is its Kafka time in epoch ms."""

    key: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp: int


def load_decoder(name: str) -> Hook:
    """Import the decoder ``module:function``. Raises ``ValueError`` with a message of one line."""
    module, _, function = name.partition(":")
    try:
        decoder: Hook = getattr(importlib.import_module(module), function)
    except (Exception, SystemExit) as error:  # importing a module runs it
        raise ValueError(f"decoder {name}: {' '.join(describe(error).split())}") from error
    if not callable(decoder):
        raise ValueError(f"decoder {name}: {type(decoder).__name__} is not callable")
    return decoder


class UserDecoder:
    """Calls a user's decoder, and turns whatever it raises into `BadRecord`."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._wanted = _parameters(hook) & set(Context._fields)

    def __call__(self, value: bytes, headers: Sequence[tuple[str, bytes]], context: Context) -> Sequence[Mapping[Any, Any]]:
        """Return the mappings that the decoder returns, if any. Raises `BadRecord`."""
        try:
            decoded = self._hook(value, headers, **{name: getattr(context, name) for name in self._wanted})
            several = list(decoded) if isinstance(decoded, list | tuple) else [] if decoded is None else [decoded]
            mappings = [dict(one) for one in several if isinstance(one, Mapping)]
        except (Exception, SystemExit) as error:  # the hook is a user's code: any error is about this record
            raise BadRecord("decoder_error", describe(error)) from error
        if len(mappings) < len(several):
            wrong = next(one for one in several if not isinstance(one, Mapping))
            raise BadRecord("not_an_object", f"the decoder returned {type(wrong).__name__}")
        return mappings


def describe(error: BaseException) -> str:
    """Return the type and message of an exception of a user's code, whose ``__str__`` may raise."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _parameters(hook: Hook) -> set[str]:
    try:
        return set(list(inspect.signature(hook).parameters)[2:])
    except (ValueError, TypeError):  # a function of a C extension may have no signature
        return set()
