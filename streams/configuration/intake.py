"""The setting of `ouzel intake`: the topics that it reads, and how it reads each of them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings

from streams.configuration.fields import INTAKE, TOOLS, Change, Subject, setting

EXAMPLE = '`[{"topic": "clicks"}, {"topic": "orders", "event_type": "purchase"}]`'


class SourceSettings(BaseModel):
    """One source topic. An option that is left out is as in the setting of the same name.

    ``event_type`` is the type of all events of the topic. ``tombstones`` says what a record with a
    key and without a value does: ``delete`` deletes the user of that key, ``ignore`` is counted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    field_mapping: dict[str, str] = {}
    event_types: dict[str, str | None] = {}
    field_filter: dict[str, list[str | int | bool | None]] = {}
    decoder: str | None = Field(None, pattern=r"^[\w.]+:\w+$")
    time_unit: Literal["auto", "s", "ms", "us", "ns", "days"] = "auto"
    time_format: str | None = None
    event_type: str | None = None
    tombstones: Literal["ignore", "delete"] = "ignore"

    @model_validator(mode="after")
    def _one_rule_of_types(self) -> SourceSettings:
        if self.event_type is not None and self.event_types:
            raise ValueError("event_type is the type of all events, so event_types has no effect; leave one of them out")
        return self


OPTIONS = tuple(SourceSettings.model_fields)
ALLOWED = f"JSON list of objects with `topic` and any of {', '.join(f'`{name}`' for name in OPTIONS[1:])}, such as {EXAMPLE}"
_check = TypeAdapter(list[SourceSettings]).validate_python


def parse_sources(value: object) -> Sequence[SourceSettings]:
    """Return the source topics. Raises ``ValueError`` with the first thing that is wrong."""
    try:
        sources = _check(value)
    except ValidationError as error:
        raise ValueError(_described(dict(error.errors()[0]), value)) from None
    names = [source.topic for source in sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"topic {twice} is named twice")
    return sources


def _described(problem: dict[str, Any], value: object) -> str:
    place, message = problem["loc"], str(problem["msg"]).removeprefix("Value error, ")
    if not place or not isinstance(value, list):
        return "not a list"
    number, *path = place
    source = value[number]
    name = source.get("topic") if isinstance(source, dict) else None
    where = f"topic {name}" if isinstance(name, str) else f"topic number {number + 1}"
    if not path:
        return f"{where}: {message}"
    option = ".".join(map(str, path))
    if problem["type"] == "extra_forbidden":
        similar = get_close_matches(option, OPTIONS, 1)
        return f"{where}: there is no option {option}" + (f", did you mean {similar[0]}?" if similar else "")
    return f"{where}: {option}: {message}"


class IntakeSettings(BaseSettings):
    """The part of `Settings` that concerns the intake."""

    intake: list[dict[str, Any]] = setting(
        [], "Topics that `ouzel intake` reads, whatever their keys; it writes their events to `events`, keyed by user. An option "
        "that a topic leaves out is as in the setting of the same name.",
        Subject.INTAKE, INTAKE + TOOLS, Change.ROLLING, ALLOWED,
    )  # fmt: skip

    @field_validator("intake", mode="before")
    @classmethod
    def _sources(cls, value: object) -> object:
        """Check all options here, so that an error names the topic and the option."""
        parse_sources(value)
        return value
