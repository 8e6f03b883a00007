"""The settings that say how events are read."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator
from pydantic_settings import BaseSettings

from streams.configuration.fields import INTAKE, LONGEST_S, SERVE, TOOLS, WORKER, Change, Subject, none_if_empty, setting

EVENTS, ROLLING = Subject.EVENTS, Change.ROLLING
READERS = WORKER + SERVE + INTAKE + TOOLS


class EventSettings(BaseSettings):
    """The part of `Settings` that concerns events, the most used first."""

    field_mapping: dict[str, str] = setting(
        {}, 'Dotted paths of fields in your events, where they differ from ours, such as `{"item_id": "product.sku"}`. '
        "A `*` stands for each position of a list, so `lines.*.sku` makes an event of each line.",
        EVENTS, READERS, ROLLING, "JSON object of texts",
    )  # fmt: skip
    event_types: dict[str, str | None] = setting(
        {}, 'Event types of your names and codes, such as `{"watched": "view", "3": "purchase", "search": null}`. '
        "Events whose type is mapped to null are ignored. Many names of other systems are known already.",
        EVENTS, READERS, ROLLING, "JSON object of event types or null",
    )  # fmt: skip
    field_filter: dict[str, list[str | int | bool | None]] = setting(
        {}, 'Values at dotted paths that an event must have, such as `{"op": ["c", "r"]}`. Other records are ignored.',
        EVENTS, READERS, ROLLING, "JSON object of lists",
    )  # fmt: skip
    tombstones: Literal["delete", "ignore"] = setting(
        "delete", "What a null value on `events` means: its key is a user or session to delete, or nothing. `ignore` is for "
        "topics whose keys are not users, such as those of Debezium. `ouzel serve` can delete users in either case.",
        EVENTS, READERS, ROLLING,
    )  # fmt: skip
    guests: list[str] = setting(
        ["", "0", "-1", "null", "(null)", "<null>", "\\N", "none", "nil", "undefined", "nan", "na", "n/a", "-", "(not set)",
         "(none)", "unknown", "anonymous", "guest", "00000000-0000-0000-0000-000000000000"],
        "Ids of users and sessions that mean: unknown. Upper and lower case make no difference.",
        EVENTS, READERS, ROLLING, "JSON list of texts",
    )  # fmt: skip
    time_unit: Literal["auto", "s", "ms", "us", "ns", "days"] = setting(
        "auto", "Unit of times that are numbers, since 1970. `auto` tells it by the size of the number.", EVENTS, READERS, ROLLING
    )
    time_format: str | None = setting(
        None, "Form of times that are neither epoch times, ISO 8601 nor RFC 2822, such as `%d/%m/%Y %H:%M`.",
        EVENTS, READERS, ROLLING, "directives of Python's `strptime`",
    )  # fmt: skip
    decoder: str | None = setting(
        None, "Your function that turns an event's bytes into dicts, for formats other than JSON. Ouzel executes its code.",
        EVENTS, READERS, ROLLING, "`module:function`", pattern=r"^[\w.]+:\w+$",
    )  # fmt: skip
    max_record_bytes: int = setting(
        1_000_000, "Maximum length of an event. A longer one becomes a dead letter; the HTTP API rejects it.",
        EVENTS, READERS, ROLLING, ge=100, le=50_000_000,
    )  # fmt: skip
    max_ahead_s: float = setting(
        300.0, "An event whose timestamp is more than this ahead of its Kafka time becomes a dead letter; the API rejects it.",
        EVENTS, READERS, ROLLING, ge=0, le=LONGEST_S,
    )  # fmt: skip

    _event_texts = field_validator("decoder", "time_format", mode="before")(none_if_empty)
