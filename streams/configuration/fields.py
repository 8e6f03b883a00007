"""Declares settings: the meaning, the subject, the processes that read it, how to change it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from enum import StrEnum
from types import NoneType
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack, get_args, get_origin

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo

T = TypeVar("T")
PREFIX = "OUZEL_"
"""The prefix of the environment variables of all settings."""
CONFIG_VARIABLE = "OUZEL_CONFIG"
"""The environment variable that names the TOML file."""
KINDS: dict[Any, str] = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text", SecretStr: "secret text"}
LONGEST_S = 1_000_000_000
"""The longest time that a setting may have in seconds: more than 31 years."""
MAX_SEED = 2**32 - 1
UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes"}
"""The unit of a number, by the ending of its setting's name."""


class Subject(StrEnum):
    """What a setting is about, in the order of `ouzel config` and docs/settings.md."""

    KAFKA = "Kafka and topics"
    EVENTS = "Events"
    INTAKE = "Intake"
    RANKINGS = "Sessions and rankings"
    MODEL = "Model"
    HTTP = "HTTP API and page"
    SECURITY = "Security"
    WORKER = "Worker and delivery"
    OBSERVING = "Logs and metrics"


class Reader(StrEnum):
    """A process that uses a setting. Tools are the commands that are not named here.

    A trainer reads what the worker or the learner that starts it does.
    """

    WORKER = "worker"
    LEARNER = "learner"
    SERVE = "serve"
    INTAKE = "intake"
    TOOLS = "tools"


WORKER, LEARNER, SERVE = (Reader.WORKER,), (Reader.LEARNER,), (Reader.SERVE,)
INTAKE, TOOLS = (Reader.INTAKE,), (Reader.TOOLS,)
ALL = WORKER + LEARNER + SERVE + INTAKE + TOOLS


class Change(StrEnum):
    """How to give a running deployment another value."""

    ROLLING = "one by one"
    TOGETHER = "all together"
    NEVER = "never"


class About(NamedTuple):
    """The parts of a setting's declaration besides its type, default, bounds and meaning.

    ``form`` says what a number counts, or how any other value is written. ``choices`` lists the
    allowed texts; it is empty if every text is allowed.
    """

    subject: Subject
    read_by: tuple[Reader, ...]
    change: Change
    form: str
    choices: tuple[str, ...]


class Bounds(TypedDict, total=False):
    """The bounds of a value, by pydantic's names."""

    ge: float
    gt: float
    le: float
    pattern: str


def setting(
    default: T, meaning: str, subject: Subject, read_by: tuple[Reader, ...], change: Change, form: str = "",
    *, choices: tuple[str, ...] = (), **bounds: Unpack[Bounds],
) -> T:  # fmt: skip
    """Declare a field of `Settings`. `About` explains the arguments."""
    extra: dict[str, Any] = {"about": About(subject, read_by, change, form, choices)}
    declared: T = Field(default, description=meaning, json_schema_extra=extra, **bounds)
    return declared


def about(field: FieldInfo) -> About:
    """Return the `About` of a field. Raises ``LookupError`` if `setting` did not declare it."""
    extra = field.json_schema_extra
    declared: object = extra.get("about") if isinstance(extra, dict) else None
    if not isinstance(declared, About):
        raise LookupError("this field was not declared by `setting(...)`; declare it so")
    return declared


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def from_environment(name: str) -> str | None:
    """Return a setting's text in the environment, or ``None``. Case does not matter there."""
    return next((text for known, text in os.environ.items() if known.upper() == variable(name)), None)


def none_if_empty(value: Any) -> Any:
    """Return ``None`` for an empty text: Compose passes a variable that is not set as empty."""
    return None if value == "" else value


def is_secret(field: FieldInfo) -> bool:
    """Return whether the values of a field must not be shown."""
    return _kind(field) is SecretStr


def allowed(name: str, field: FieldInfo) -> str:
    """Describe the values that a setting may have: the type, the unit and the bounds."""
    declared, kind = about(field), _kind(field)
    if choices := declared.choices or (get_args(kind) if get_origin(kind) is Literal else ()):
        *most, last = (f"`{choice}`" for choice in choices)
        return f"{', '.join(most)} or {last}"
    if kind not in (int, float):
        return declared.form or KINDS[kind]
    unit = declared.form or next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")
    return ", ".join(filter(None, (KINDS[kind] + (f" of {unit}" if unit else ""), _range(field))))


def _kind(field: FieldInfo) -> Any:
    """The type of a value that is not ``None``."""
    kinds = get_args(field.annotation)
    return next(kind for kind in kinds if kind is not NoneType) if NoneType in kinds else field.annotation


def _range(field: FieldInfo) -> str:
    bound = dict(_bounds(field.metadata))
    if "ge" in bound and "le" in bound:
        return f"{_figure(bound['ge'])} to {_figure(bound['le'])}"
    named = {"gt": "above", "ge": "at least", "le": "at most"}
    return ", ".join(f"{named[name]} {_figure(limit)}" for name, limit in bound.items())


def _figure(limit: float) -> str:
    return f"{limit:,}" if limit >= 100_000 else f"{limit:g}"


def _bounds(constraints: Collection[Any]) -> Iterator[tuple[str, float]]:
    return ((name, getattr(one, name)) for one in constraints for name in ("ge", "gt", "le") if hasattr(one, name))
